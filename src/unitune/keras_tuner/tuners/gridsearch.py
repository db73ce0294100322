"""Every combination of values, also where a model asks for more as it is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from unitune.keras_tuner.engine.oracle import Oracle
from unitune.keras_tuner.engine.trial import Trial, TrialStatus
from unitune.keras_tuner.engine.tuner import Tuner
from unitune.space.domains import same
from unitune.space.hyperparameters import HyperParameter, HyperParameters


class LinkedList:
    """Items in an order into which others can be put anywhere.

    Example:
        >>> items = LinkedList()
        >>> items.insert("a"); items.insert("c"); items.insert("b", "a")
        >>> items.next("a"), items.next("c")
        ('b', None)
    """

    def __init__(self) -> None:
        self._items: list[Any] = []

    def insert(self, data: Any, data_pred: Any = None) -> None:
        """Puts an item after another one, or at the end."""
        place = len(self._items) if data_pred is None else self._items.index(data_pred) + 1
        self._items.insert(place, data)

    def next(self, data: Any) -> Any:
        """The item after this one; None after the last."""
        place = self._items.index(data) + 1
        return self._items[place] if place < len(self._items) else None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)


class GridSearchOracle(Oracle):
    """Proposes every combination, the last hyperparameter varying fastest.

    A trial is followed by the one in which its last hyperparameter that has values left takes the next of them, what
    comes after it starting anew. So combinations of hyperparameters that are only asked for under some values of
    others come in their place. A range without a step stands for its default and ten values.

    The arguments are those of `Oracle`; without `max_trials` the search ends with the grid.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        self._ordered_ids = LinkedList()
        # Trials that may have a successor still, and what was begun: each first part of a proposed combination.
        self._open: list[str] = []
        self._settled: set[str] = set()
        self._begun: set[frozenset[tuple[str, str]]] = set()

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The next combination; `IDLE` where it depends on what running trials will ask for."""
        if not self.start_order:
            return self._propose(trial_id, self._filled({}), None)
        for previous in list(self._open):
            values = self._after(self.trials[previous])
            if values is not None:
                return self._propose(trial_id, values, previous)
            if previous in self._settled:
                self._open.remove(previous)
        return {"status": TrialStatus.IDLE if self.ongoing_trials else TrialStatus.STOPPED}

    def trial_built(self, trial: Trial) -> None:
        """What the trial asks for is known: its successor can be proposed."""
        self._settled.add(trial.trial_id)
        self._begin(trial.hyperparameters)

    def end_trial(self, trial: Trial, status: str | None = None) -> None:
        """Takes a trial that ended; see `Oracle.end_trial`."""
        if status is not None or isinstance(trial, str):
            super().end_trial(trial, status or TrialStatus.COMPLETED)  # type: ignore[call-arg]
            return
        super().end_trial(trial)
        self.trial_built(trial)

    def _propose(self, trial_id: str, values: dict[str, Any], previous: str | None) -> dict[str, Any]:
        hp = self.get_space()
        hp.values = dict(values)
        self._begin(hp)
        self._ordered_ids.insert(trial_id, previous)
        self._open.append(trial_id)
        return {"status": TrialStatus.RUNNING, "values": values}

    def _begin(self, hp: HyperParameters) -> None:
        part: dict[str, Any] = {}
        for one in _active(hp):
            part[one.name] = hp.values[one.name]
            self._begun.add(self._key(part))

    def _after(self, trial: Trial) -> dict[str, Any] | None:
        """The combination after a trial's; None where it was begun, or there is none."""
        hp = trial.hyperparameters
        active = list(_active(hp))
        for place in range(len(active) - 1, -1, -1):
            one = active[place]
            values = grid_values(one)
            index = next((i for i, value in enumerate(values) if same(value, hp.values[one.name])), len(values))
            if index + 1 >= len(values):
                continue
            part = {other.name: hp.values[other.name] for other in active[:place]}
            part[one.name] = values[index + 1]
            if self._key(part) in self._begun:
                return None
            return self._filled(part)
        return None

    def _filled(self, part: Mapping[str, Any]) -> dict[str, Any]:
        """The first combination that begins with these values."""
        hp = self.get_space()
        hp.values = dict(part)
        for one in hp.space:
            if one.name not in hp.values and hp.is_active(one):
                hp.values[one.name] = grid_values(one)[0]
        return dict(hp.values)

    def _key(self, part: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
        return frozenset((name, self._compute_values_hash({name: value})) for name, value in part.items())

    def get_state(self) -> dict[str, Any]:
        """The state of an oracle, and where in the grid it is."""
        return {
            **super().get_state(),
            "ordered_ids": list(self._ordered_ids),
            "open": list(self._open),
            "settled": sorted(self._settled),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes a state of `get_state`."""
        super().set_state(state)
        self._ordered_ids = LinkedList()
        for one in state["ordered_ids"]:
            self._ordered_ids.insert(one)
        self._open, self._settled = list(state["open"]), set(state["settled"])
        for trial in self.trials.values():
            self._begin(trial.hyperparameters)


def _active(hp: HyperParameters) -> Iterator[HyperParameter]:
    """The active hyperparameters that have values, in the order in which they were asked for."""
    seen = set()
    for one in hp.space:
        if one.name not in seen and one.name in hp.values and hp.is_active(one):
            seen.add(one.name)
            yield one


def grid_values(hyperparameter: HyperParameter) -> list[Any]:
    """The values that a grid visits, the default first."""
    default = hyperparameter.default
    return [default, *(value for value in hyperparameter.values if not same(value, default))]


class GridSearch(Tuner):
    """Tries every combination of values. The arguments are those of `RandomSearch`.

    Args:
        hypermodel, objective, max_trials, seed: As for `RandomSearch`; all combinations where `max_trials` is not
            given.
        hyperparameters, tune_new_entries, allow_new_entries: As for `RandomSearch`.
        max_retries_per_trial, max_consecutive_failed_trials: As for `RandomSearch`.
        **kwargs: As for `Tuner`.

    Example:
        >>> import tempfile
        >>> import keras, numpy as np
        >>> def build(hp):
        ...     layers = [keras.layers.Dense(hp.Choice("units", [2, 4])), keras.layers.Dense(1)]
        ...     model = keras.Sequential(layers)
        ...     model.compile("sgd", "mse")
        ...     return model
        >>> x = np.ones((8, 2), "float32")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tuner = GridSearch(build, "val_loss", directory=folder, progress=False)
        ...     tuner.search(x, x[:, :1], validation_split=0.5, epochs=1)
        >>> tuner.get_best_hyperparameters()[0]["units"] in (2, 4)
        True
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = None,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        self._seeded = seed is not None
        oracle = GridSearchOracle(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        super().__init__(oracle, hypermodel, **kwargs)
