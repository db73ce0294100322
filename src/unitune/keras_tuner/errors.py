"""KerasTuner's errors: what a trial can raise to say how bad it is.

```
FailedTrialError                              the trial failed; trying it again would not help
FatalError (FatalTypeError, FatalValueError,  the search ends
            FatalRuntimeError)
TooManyFailures                               too many trials failed one after another
```

Any other exception makes a trial invalid: it is tried again, as often as `max_retries_per_trial` says.
"""

from __future__ import annotations


class FailedTrialError(Exception):
    """A trial failed, and trying it again would not help: its model is too large, say."""


class FatalError(Exception):
    """Something is wrong with the search itself, which ends."""


class FatalValueError(FatalError, ValueError):
    """A `FatalError` that is a `ValueError`."""


class FatalTypeError(FatalError, TypeError):
    """A `FatalError` that is a `TypeError`."""


class FatalRuntimeError(FatalError, RuntimeError):
    """A `FatalError` that is a `RuntimeError`."""


class TooManyFailures(RuntimeError):  # noqa: N818  (what KerasTuner raises is a plain `RuntimeError`)
    """As many trials failed one after another as end a search."""


def is_one(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether an error is of this kind, or of KerasTuner's own class of that name, which code written for it raises."""
    return isinstance(error, kind) or any(
        one.__name__ == kind.__name__ and one.__module__.split(".")[0] == "keras_tuner" for one in type(error).__mro__
    )
