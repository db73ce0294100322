"""Every error that Unitune raises on purpose.

```
UnituneError
├── InputError (also ValueError)     the user's input breaks a rule; nothing has been written
│   ├── DataError                    rows, columns, targets, weights, folds
│   ├── SpaceError                   hyperparameters and their domains
│   ├── OptionError                  any other argument or flag
│   ├── FusionError                  `engine="fused"` was asked for and cannot be
│   └── RunFolderError               a run folder that exists, is missing, or cannot be read or written
├── SaveError (also OSError)         saving failed half-way (a full disk, say); what is done is kept
└── TrainingError                    no trial could be trained at all
```

An `InputError` states the rule, what was received and the remedy, in that order.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path


class UnituneError(Exception):
    """The root of all errors that Unitune raises on purpose."""


class InputError(UnituneError, ValueError):
    """The user's input breaks a rule.

    Args:
        rule: What must hold, as a clause without a full stop: ``"`units` must be at least 1"``.
        received: What was given instead: ``"got 0"``. Empty where the rule says it all.
        remedy: What to do, as a sentence. Empty where it is plain.

    Example:
        >>> str(InputError("`units` must be at least 1", "got 0", "Use a positive whole number."))
        '`units` must be at least 1, but got 0. Use a positive whole number.'
    """

    def __init__(self, rule: str, received: str = "", remedy: str = "") -> None:
        self.rule = rule
        self.received = received
        self.remedy = remedy
        message = f"{rule}, but {received}." if received else f"{rule}."
        super().__init__(f"{message} {remedy}".rstrip())


class DataError(InputError):
    """The data break a rule: rows, columns, targets, weights or folds."""


class SpaceError(InputError):
    """The search space breaks a rule: a hyperparameter or its domain."""


class OptionError(InputError):
    """An argument or a flag breaks a rule."""


class FusionError(InputError):
    """`engine="fused"` was asked for, and some trial cannot be fused."""


class RunFolderError(InputError):
    """A run folder exists already, is missing, or cannot be read or written."""


class SaveError(UnituneError, OSError):
    """Saving failed half-way; what was finished before is kept.

    `result` is the `unitune.Result` that could not be saved, where there is one: the search was not in vain.
    """

    result: object = None


class TrainingError(UnituneError):
    """No trial could be trained."""

    @classmethod
    def of_all(cls, n_trials: int, first: str = "") -> TrainingError:
        """The error where every trial failed; `first` is why the first one did.

        Args:
            n_trials: How many trials there were.
            first: Why the first one failed.
        """
        if n_trials == 0:
            return cls("No trial was finished before a limit ended the search.")
        if n_trials == 1:
            return cls(f"The only trial failed: {first}.")
        return cls(f"All {n_trials:,} trials failed. The first: {first}.")


def suggest(name: str, known: Iterable[str], *, label: str = "Known") -> str:
    """A remedy for an unknown name: the close matches, and all known names where there are few.

    Example:
        >>> suggest("rleu", ["relu", "tanh"])
        'Did you mean `relu`? Known: relu, tanh.'
    """
    names = sorted(known)
    by_lower = {candidate.lower(): candidate for candidate in names}
    close = [by_lower[match] for match in difflib.get_close_matches(name.lower(), list(by_lower), n=3, cutoff=0.5)]
    parts = []
    if close:
        parts.append("Did you mean " + " or ".join(f"`{match}`" for match in close) + "?")
    if not close or len(names) <= 40:
        parts.append(f"{label}: {', '.join(names)}.")
    return " ".join(parts)


def users_traceback(error: BaseException) -> str:
    """The traceback from the first frame on that is not Unitune's, which is what a user's function did.

    All of it where every frame is Unitune's.
    """
    frames = error.__traceback__
    package = str(Path(__file__).parent)
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(package):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames or error.__traceback__))
