"""A trial between its proposal and its score: its models, and what is to be trained of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from unitune.adoption.fit_call import FitCall
from unitune.adoption.light_build import LightVariables
from unitune.adoption.user_fit import UserFit, Waiting
from unitune.keras_tuner.engine.executions import Execution
from unitune.keras_tuner.engine.trial import Trial
from unitune.records import Array


@dataclass(kw_only=True, eq=False)
class Fitted:
    """What `fit` returned, for the tuner and for the user's own `fit`."""

    history: dict[str, list[float]]
    epoch: list[int]
    params: dict[str, Any] = field(default_factory=dict)
    model: Any = None


@dataclass(kw_only=True, eq=False)
class Run:
    """One execution of a trial in a batch.

    Attributes:
        call: What it asked to be trained; None where that has no fused form, or it needed no training.
        model, light: What the user's function built, and the variables of it that hold nothing yet.
        user: The user's own `fit`, if there is one.
    """

    trial: Trial
    execution: Execution
    call: FitCall | None = None
    model: Any = None
    light: LightVariables | None = None
    user: UserFit | None = None
    result: Any = None
    weights: tuple[Array, ...] | None = None
    input_shape: tuple[Any, ...] = ()
    value: float = float("nan")
    engine: str = "fused"
    engine_reason: str = ""

    def real_model(self) -> Any:
        """The model, with variables of the framework."""
        if self.light is not None:
            self.light.make_real()
        return self.model


@dataclass(kw_only=True, eq=False)
class Begun:
    """A trial whose models are built, or some of them.

    Attributes:
        executions: All of it.
        runs: Those of which there is a model.
        waiting: The user's own `run_trial`, if there is one.
        reason: Why the trial has no fused form.
    """

    trial: Trial
    executions: list[Execution]
    runs: list[Run] = field(default_factory=list)
    waiting: Waiting | None = None
    reason: str = ""

    @property
    def trained(self) -> bool:
        """Whether all that was to be trained is."""
        return all(run.call is None or run.result is not None for run in self.runs)

    def abandon(self) -> None:
        """Ends the user's code where it waits, and lets go of the models."""
        for waiting in (*(run.user for run in self.runs), self.waiting):
            if waiting is not None:
                waiting.abandon()
        for run in self.runs:
            run.call = run.model = run.light = run.user = None
