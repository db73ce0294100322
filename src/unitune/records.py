"""The records that pass between the rooms of the house: frozen, keyword-only, free of any framework.

A *trial* is one configuration under evaluation. It is trained as several *members*, one for each fold and repeat;
each member leaves a *history* and a score on the rows that were held out from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from numpy.typing import NDArray

Array = NDArray[Any]
Direction = Literal["minimize", "maximize"]
Task = Literal["binary", "multiclass", "regression"]
TrialState = Literal["complete", "failed", "stopped"]
Configuration = Mapping[str, Any]


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


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """What a member did in each epoch.

    `train` and `validation` have shape `(epoch, metric)`, in the order of `metrics`, whose first is `"loss"`.
    `learning_rate` has shape `(epoch,)`: the rate at the epoch's last step. `best_epoch` counts from 1: the epoch whose
    weights were kept. `probes` maps a probe's name to an array `(epoch, layer)`.
    """

    metrics: tuple[str, ...]
    train: Array
    validation: Array
    learning_rate: Array
    best_epoch: int
    probes: Mapping[str, Array] = field(default_factory=dict)

    @property
    def n_epochs(self) -> int:
        """How many epochs were trained."""
        return int(self.train.shape[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class MemberRecord:
    """What became of a member. `train` and `validation` map a metric's name to its value at the kept weights.

    `failure` is empty for a member that finished; otherwise it is the reason, as a sentence for the user.
    """

    member: Member
    history: History
    train: Mapping[str, float]
    validation: Mapping[str, float]
    elapsed_s: float
    failure: str = ""


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
