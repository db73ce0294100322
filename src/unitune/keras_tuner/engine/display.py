"""What a search prints while it trains one trial after another."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Protocol

from unitune.keras_tuner.engine.objective import Objective
from unitune.keras_tuner.engine.stateful import Stateful
from unitune.keras_tuner.engine.trial import Trial
from unitune.space.labels import label

COLUMN = 18


class Shown(Protocol):
    """What is shown of an oracle."""

    objective: Objective
    max_trials: int | None
    trials: dict[str, Trial]
    end_order: list[str]

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]: ...  # noqa: D102

    def remaining_trials(self) -> int | None: ...  # noqa: D102


class Display(Stateful):
    """Prints the trial that begins, its score when it ends, the best so far, and the time left.

    Args:
        oracle: Whose trials they are.
        verbose: 0 prints nothing.
    """

    def __init__(self, oracle: Shown, verbose: int = 1) -> None:
        self.oracle = oracle
        self.verbose = verbose
        self.search_start: datetime | None = None
        self.trial_start: dict[str, datetime] = {}
        self.trial_number: dict[str, int] = {}

    def on_trial_begin(self, trial: Trial) -> None:
        """Numbers the trial and prints its values beside the best ones."""
        now = datetime.now()
        self.search_start = self.search_start or now
        self.trial_start[trial.trial_id] = now
        # A trial that is tried again keeps its number.
        self.trial_number.setdefault(trial.trial_id, len(self.oracle.trials))
        if self.verbose < 1:
            return
        print(f"\nTrial {self.trial_number[trial.trial_id]}{self._of_how_many()} begins\n")
        self.show_hyperparameter_table(trial)

    def on_trial_end(self, trial: Trial) -> None:
        """Prints how it ended."""
        if self.verbose < 1:
            return
        now = datetime.now()
        number = self.trial_number.get(trial.trial_id, len(self.oracle.trials))
        name = self.oracle.objective.name
        took = self.format_duration(now - self.trial_start.get(trial.trial_id, now))
        print(f"\nTrial {number}{self._of_how_many()}: {trial.status.lower()} in {took}")
        if trial.score is not None:
            print(f"{name}: {trial.score}")
        best = self.oracle.get_best_trials()
        if best and best[0].score is not None:
            print(f"Best {name} so far: {best[0].score}")
        elapsed = now - (self.search_start or now)
        left = self.oracle.remaining_trials()
        done = len(self.oracle.end_order)
        text = f"Elapsed: {self.format_duration(elapsed)}"
        if left and done:
            text += f", left about {self.format_duration(elapsed / done * left)}"
        print(text)

    def show_hyperparameter_table(self, trial: Trial) -> None:
        """Prints each value beside the best trial's."""
        best_trials = self.oracle.get_best_trials()
        best = best_trials[0].hyperparameters.values if best_trials else {}
        if not trial.hyperparameters.values:
            print("default configuration")
            return
        print(f"{'Value':{COLUMN}}|{'Best so far':{COLUMN}}|Hyperparameter")
        for name, value in trial.hyperparameters.values.items():
            known = self.format_value(best[name]) if name in best else "–"
            print(f"{self.format_value(value):{COLUMN}}|{known:{COLUMN}}|{name}")

    def _of_how_many(self) -> str:
        return f" of {self.oracle.max_trials}" if self.oracle.max_trials else ""

    def format_value(self, value: Any) -> str:
        """A value, cut to the width of a column."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        text = f"{value:.5g}" if is_number else str(label(value) if callable(value) else value)
        return text if len(text) <= COLUMN else f"{text[: COLUMN - 3]}..."

    def format_duration(self, duration: timedelta) -> str:
        """Days, hours, minutes and seconds: `00h 01m 30s`."""
        minutes, seconds = divmod(round(duration.total_seconds()), 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        return f"{f'{days}d ' if days else ''}{hours:02d}h {minutes:02d}m {seconds:02d}s"

    def get_state(self) -> dict[str, Any]:
        """When everything began."""
        return {
            "search_start": self.search_start.isoformat() if self.search_start else None,
            "trial_start": {key: value.isoformat() for key, value in self.trial_start.items()},
            "trial_number": dict(self.trial_number),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes a state of `get_state`."""
        begun = state["search_start"]
        self.search_start = datetime.fromisoformat(begun) if begun else None
        self.trial_start = {key: datetime.fromisoformat(value) for key, value in state["trial_start"].items()}
        self.trial_number = dict(state["trial_number"])
