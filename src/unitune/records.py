"""The records that pass between the rooms of the house: frozen, keyword-only, free of any framework.

A *trial* is one configuration under evaluation. It is trained as several *members*, one for each fold and repeat;
each member leaves a history and a score on the rows that were held out from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from numpy.typing import NDArray

Array = NDArray[Any]
Direction = Literal["minimize", "maximize"]
Task = Literal["binary", "multiclass", "regression"]
TrialState = Literal["complete", "failed", "stopped"]
Configuration = Mapping[str, Any]
_SHOWN = 8


def sign_of(direction: str) -> float:
    """What makes greater better when scores are multiplied by it.

    Args:
        direction: `"maximize"` or `"minimize"`.

    Example:
        >>> sign_of("maximize"), sign_of("minimize")
        (1.0, -1.0)
    """
    return 1.0 if direction == "maximize" else -1.0


@dataclass(frozen=True, kw_only=True)
class Member:
    """One network to train: a trial on a fold, in a repeat.

    `seed` covers its initial weights, the order of its rows and its dropout. It depends on fold and repeat only, so
    that members of different trials are paired.
    """

    trial: int
    fold: int
    repeat: int
    seed: int


def interval_text(low: float, high: float) -> str:
    """The 95 % interval of a score, to stand behind it; empty where it is not known.

    Example:
        >>> "accuracy 0.9" + interval_text(0.8, 0.95)
        'accuracy 0.9 (95 % interval 0.8 to 0.95)'
    """
    return "" if low != low else f" (95 % interval {low:.4g} to {high:.4g})"


def counted(number: int, noun: str) -> str:
    """A number of things, in words.

    Example:
        >>> counted(1, "trial"), counted(2000, "trial")
        ('1 trial', '2,000 trials')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def difference_text(difference: float, score: float) -> str:
    """A difference of scores; one that four digits of the score do not show is put as less than these show.

    Example:
        >>> difference_text(0.0123, 0.95), difference_text(4e-11, 0.95), difference_text(0.5, 5530.0)
        ('0.012', 'less than 0.0001', 'less than 1')
    """
    shown = 10.0 ** (math.floor(math.log10(abs(score))) - 3) if score and math.isfinite(score) else 0.0
    return f"less than {shown:.4g}" if difference < shown else f"{difference:.2g}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One metric of one trial over its folds and repeats.

    `low` and `high` bound the 95 % interval of `mean`; both are NaN where there is a single value. `train` is the mean
    on the training rows. `values` are the members' values, ordered by repeat, then fold.
    """

    metric: str
    mean: float
    std: float
    low: float
    high: float
    train: float
    values: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.metric} {self.mean:.4g}{interval_text(self.low, self.high)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One configuration and what became of it. `scores` maps each metric's name to its `Score`.

    `engine` names how its members were trained, by the slowest of them (`"fused"`, `"vmapped"` or `"solo"`);
    `engine_reason` says why not faster.
    """

    number: int
    configuration: Configuration
    state: TrialState
    scores: Mapping[str, Score] = field(default_factory=dict)
    n_parameters: int = 0
    elapsed_s: float = 0.0
    engine: str = ""
    engine_reason: str = ""
    failure: str = ""

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.configuration.items())
        scores = ", ".join(map(str, self.scores.values())) or f"{self.state}: {self.failure}"
        return f"Trial {self.number}: {settings}; {scores}; {self.n_parameters:,} parameters"

    def _repr_markdown_(self) -> str:
        """A table of the configuration below the scores, for notebooks."""
        scores = "; ".join(map(str, self.scores.values())) or f"{self.state}: {self.failure}"
        rows = [f"| {name} | `{value!r}` |" for name, value in self.configuration.items()]
        head = f"**Trial {self.number}**, {self.n_parameters:,} parameters: {scores}"
        return "\n".join([head, "", "| hyperparameter | value |", "| --- | --- |", *rows])


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A diagnosed fact: what limits some trials, with its evidence in numbers and what to try.

    Attributes:
        kind: Which of `unitune.diagnosis.KINDS`: `"overfit"`, `"dead_units"`, ...
        severity: `"warning"`: results suffer or mislead; `"advice"`: there is something to gain; `"info"`: good
            to know.
        title: One sentence.
        trials: The numbers of the trials concerned, the winner first if it is among them.
        evidence: From what was measured to its value.
        advice: What to change, with values to try; empty where there is nothing to do.
    """

    kind: str
    severity: Literal["info", "advice", "warning"]
    title: str
    trials: tuple[int, ...]
    evidence: Mapping[str, float | str]
    advice: str = ""

    def __str__(self) -> str:
        numbers = ", ".join(map(str, self.trials[:_SHOWN])) + (", ..." if len(self.trials) > _SHOWN else "")
        concerned = f" (trial{'s' if len(self.trials) > 1 else ''} {numbers})" if self.trials else ""
        return f"{self.severity}: {self.title}{concerned}. {self.advice}".rstrip()


class Sentences(tuple[str, ...]):
    """A tuple of sentences that reads as text at the end of a cell and in a terminal."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(self)

    def _repr_markdown_(self) -> str:
        return "\n".join(f"- {sentence}" for sentence in self)


class Findings(tuple[Finding, ...]):
    """A tuple of findings, likewise."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "Nothing was found."

    def _repr_markdown_(self) -> str:
        return "\n".join(f"- **{finding.severity}**: {finding.title}. {finding.advice}" for finding in self) or repr(
            self
        )
