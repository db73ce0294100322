"""A trial of KerasTuner's interface: its values, metrics, score and status."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unitune.keras_tuner.engine.metrics_tracking import MetricsTracker
from unitune.keras_tuner.engine.stateful import Stateful, read_json
from unitune.space.hyperparameters import HyperParameters


class TrialStatus:
    """The states of a trial."""

    RUNNING = "RUNNING"
    """It is being trained."""
    IDLE = "IDLE"
    """There is no trial now; ask again later."""
    INVALID = "INVALID"
    """It crashed, or its result is no number; it may be tried again."""
    STOPPED = "STOPPED"
    """The search is over."""
    COMPLETED = "COMPLETED"
    """It has a score."""
    FAILED = "FAILED"
    """It has none, and is not tried again."""


class Trial(Stateful):
    """One set of values and what became of it.

    Attributes:
        executions: What each execution reported: from a metric's name to its value.
        engine: How it was trained: `"fused"`, `"vmapped"` or `"solo"`; empty where no model was fitted.
        engine_reason: Why not fused.
    """

    def __init__(
        self,
        hyperparameters: HyperParameters,
        trial_id: str | None = None,
        status: str = TrialStatus.RUNNING,
        message: str | None = None,
    ) -> None:
        self.hyperparameters = hyperparameters
        self.trial_id = generate_trial_id() if trial_id is None else trial_id
        self.metrics = MetricsTracker()
        self.score: float | None = None
        self.best_step: int | None = 0
        self.status = status
        self.message = message
        self.executions: list[dict[str, float]] = []
        self.engine = ""
        self.engine_reason = ""

    def summary(self) -> None:
        """Prints the values, the score, and the error if there was one."""
        print(f"Trial {self.trial_id} summary")
        print("Hyperparameters:")
        self.display_hyperparameters()
        if self.score is not None:
            print(f"Score: {self.score}")
        if self.message is not None:
            print(self.message)

    def display_hyperparameters(self) -> None:
        """Prints the active hyperparameters and their values."""
        if not self.hyperparameters.values:
            print("default configuration")
        for name, shown in self.hyperparameters.labels().items():
            print(f"{name}: {shown}")

    def get_state(self) -> dict[str, Any]:
        """Everything, as plain data."""
        return {
            "trial_id": self.trial_id,
            "hyperparameters": self.hyperparameters.get_config(),
            "metrics": self.metrics.get_config(),
            "score": self.score,
            "best_step": self.best_step,
            "status": self.status,
            "message": self.message,
            "executions": self.executions,
            "engine": self.engine,
            "engine_reason": self.engine_reason,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes a state of `get_state`."""
        self.trial_id = state["trial_id"]
        self.hyperparameters = HyperParameters.from_config(state["hyperparameters"])
        self.metrics = MetricsTracker.from_config(state["metrics"])
        for name in ("score", "best_step", "status", "message"):
            setattr(self, name, state[name])
        self.executions = list(state.get("executions", []))
        self.engine, self.engine_reason = state.get("engine", ""), state.get("engine_reason", "")

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Trial:
        """The trial of a state."""
        trial = cls(HyperParameters())
        trial.set_state(state)
        return trial

    @classmethod
    def load(cls, fname: str | Path) -> Trial:
        """The trial of a file."""
        return cls.from_state(read_json(fname))


def generate_trial_id() -> str:
    """A name that no other trial has."""
    text = f"{time.time_ns()}{random.getrandbits(64)}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
