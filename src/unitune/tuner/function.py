"""`tune(build_model, x, y)`: a function that builds models, or a `HyperModel`, as the networks of a search.

The function is asked a few times before the search, to find out which hyperparameters there are and under which values
of others each of them exists. What it finds is a space like any other, so that every strategy can search it.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from unitune.adoption.exploring import each_scope
from unitune.adoption.fit_arguments import as_fitted, fit_arguments
from unitune.adoption.hypermodel import HyperModel, as_hypermodel, overrides_fit
from unitune.adoption.light_build import LightVariables, light_variables, watched_weights
from unitune.adoption.logged import logged_of
from unitune.adoption.network import read_network
from unitune.adoption.outputs import why_not
from unitune.data.arrays import Split, n_rows
from unitune.engine.contract import Engine
from unitune.engine.lift.base import Unfusable
from unitune.errors import OptionError, SpaceError, users_traceback
from unitune.models.adopt import check_compiled, predicts_logits, training_of
from unitune.models.blueprint import Blueprint, EarlyStopping, OptimizerSpec, Training
from unitune.models.description import describe
from unitune.models.source import BuiltModel
from unitune.space import Condition, Hyperparameter, Space
from unitune.space.domains import same
from unitune.space.hyperparameters import HyperParameters
from unitune.space.parse import domain
from unitune.tuner.failures import Failures
from unitune.tuner.loop import Network
from unitune.tuner.problem import Problem

logger = logging.getLogger(__name__)

RANDOM_BUILDS = 12
VALUES_TRIED = 32


class Function:
    """A model-building function as the source of a search's networks.

    Args:
        given: A function of `hp`, or a `HyperModel`.
        batch_sizes, epochs: What the arguments of `fit` may be, as `tune` takes them.
        patience: For early stopping, as `tune` takes it.
        rows: What `tune` was given as `x` and `y`, for a `fit` of a `HyperModel` that looks at them.

    Raises:
        OptionError: The function returns no compiled model.
        SpaceError: A name has two domains.
    """

    def __init__(
        self,
        given: Any,
        *,
        batch_sizes: Any = None,
        epochs: Any = None,
        patience: int | None = None,
        rows: tuple[Any, Any] = (None, None),
    ) -> None:
        hypermodel = as_hypermodel(given)
        assert hypermodel is not None
        self._given = given
        self.hypermodel: HyperModel = hypermodel
        self._patience, self._rows = patience, rows
        self._known = HyperParameters()
        self.failures = Failures()
        self._asked: list[tuple[dict[str, Any], frozenset[str]]] = []
        hp = self._known.copy()
        self.first = self._build(hp)
        self._explore(hp)
        asked = [
            Hyperparameter("batch_size", domain("batch_sizes", batch_sizes or 32, "int", low=1)),
            Hyperparameter("epochs", domain("epochs", epochs or 10, "int", low=1)),
        ]
        # What `HyperModel.fit` asks for by these names takes their place.
        self.space = Space([*self._space(), *(one for one in asked if one.name not in self._known._hps)])

    # The space --------------------------------------------------------------------------------------------------

    def _build(self, hp: HyperParameters) -> Any:
        """Builds a model, and notes what was asked for."""
        model = self.hypermodel.build(hp)
        check_compiled(model, returned=True)
        if overrides_fit(self.hypermodel):
            x, y = self._rows
            found = fit_arguments(self.hypermodel, hp, model, x, y, validation=(x, y))
            with contextlib.suppress(Unfusable):
                as_fitted(found, training_of(model), logged=logged_of(model))
        known = self._known
        known.merge([one for one in hp.space if not known._exists(one.name, one.conditions)])
        names = frozenset(one.name for one in hp._asked if hp.is_active(one))
        self._asked.append(({name: hp.values[name] for name in names}, names))
        return model

    def _explore(self, first: HyperParameters) -> None:
        with light_variables():
            for hp in itertools.chain(each_scope(first, self._known.copy), self._more_to_try()):
                try:
                    self._build(hp)
                except (SpaceError, OptionError):
                    raise
                except Exception:
                    continue  # a combination that cannot be built is a failed trial, not the end

    def _more_to_try(self) -> Iterator[HyperParameters]:
        for values in self._more_values():
            hp = self._known.copy()
            hp.values = values
            hp.ensure_active_values()
            yield hp

    def _more_values(self) -> Iterator[dict[str, Any]]:
        """Further values for the builds that explore: the ends of ranges, and some at random."""
        first = dict(self._asked[0][0])
        for one in list(self._known.space):
            if not one.conditions and len(one.values) > 1:
                yield {**first, one.name: one.values[-1]}
        generator = np.random.default_rng(0)
        for _ in range(RANDOM_BUILDS):
            yield {
                one.name: one.random_sample(int(generator.integers(2**31)))
                for one in self._known.space
                if not one.conditions
            }
        # Something that is not always asked for hangs on another's value, without saying on which.
        loose = [one.name for one in self._known.space if not one.conditions and not self._always(one.name)]
        if loose:
            for one in list(self._known.space):
                if not one.conditions and one.name not in loose and 1 < len(one.values) <= VALUES_TRIED:
                    for value in one.values:
                        yield {**first, one.name: value}

    def _always(self, name: str) -> bool:
        return all(name in names for _, names in self._asked)

    def _space(self) -> list[Hyperparameter]:
        found = []
        for one in self._known.as_space():
            if not one.active_if and not self._always(one.name):
                one = replace(one, active_if=self._condition(one.name))
            found.append(one)
        # A parent comes before what hangs on it.
        order = {one.name: position for position, one in enumerate(found)}
        return sorted(found, key=lambda one: max([order[one.name], *(order[c.parent] for c in one.active_if)]))

    def _condition(self, name: str) -> tuple[Condition, ...]:
        """The hyperparameter whose values tell whether this one is asked for, if there is one."""
        for parent in self._known.space:
            if parent.name == name or parent.conditions or not self._always(parent.name):
                continue
            there = [values[parent.name] for values, names in self._asked if name in names]
            absent = [values[parent.name] for values, names in self._asked if name not in names]
            if not any(same(a, b) for a in there for b in absent):
                values = [value for value in parent.values if any(same(value, other) for other in there)]
                if values and len(values) < len(parent.values):
                    return (Condition(parent.name, tuple(values)),)
        return ()

    @property
    def name(self) -> str:
        """Of the function, or of the class of the `HyperModel`."""
        return str(getattr(self._given, "__name__", type(self._given).__name__))

    def described(self, input_shape: tuple[Any, ...]) -> str:
        """The model that it builds first, in words."""
        blueprint, training, _ = read_network(self.first, input_shape, set())
        return describe(blueprint, training)

    # Networks ---------------------------------------------------------------------------------------------------

    def network(self, configuration: Mapping[str, Any], problem: Problem) -> Network:
        """The network of a configuration; where the function raises, one that `failing` knows."""
        try:
            with light_variables() as light:
                return self._read(configuration, problem, light)
        except SpaceError:
            raise
        except Exception as error:
            return self._unbuilt(error)

    def _unbuilt(self, error: Exception) -> Network:
        if not self.failures:
            logger.warning("the model of a trial could not be built:\n%s", users_traceback(error))
        blueprint = Blueprint()
        reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
        self.failures.add(blueprint, f"its model could not be built ({reason})")
        training = Training(optimizer=OptimizerSpec(class_name="Adam", learning_rate=0.001), loss="mse")
        return Network(blueprint=blueprint, training=training)

    def failing(self, engine: Engine) -> Engine:
        """The engine, with members whose models could not be built as failures."""
        return self.failures.before(engine)

    def _read(self, configuration: Mapping[str, Any], problem: Problem, light: LightVariables) -> Network:
        hp = self._hyperparameters(configuration)
        with watched_weights() as assigned:
            model = self.hypermodel.build(hp)
            check_compiled(model, returned=True)
        blueprint, training, weights = read_network(model, problem.input_shape, assigned, light=light)
        split = problem.splits[0]
        training = replace(
            training,
            batch_size=configuration.get("batch_size", 32),
            epochs=configuration.get("epochs", 10),
            early_stopping=None if self._patience is None else EarlyStopping(patience=self._patience),
        )
        callbacks = None
        if overrides_fit(self.hypermodel):
            found = self._fit_arguments(hp, split, training.epochs, model)
            try:
                size = found.get("batch_size") or training.batch_size
                steps = {-(-n_rows(one.x_train) // size) for one in problem.splits}
                training = as_fitted(found, training, steps.pop() if len(steps) == 1 else None, logged_of(model))
            except Unfusable as told:
                training = as_fitted({**found, "callbacks": ()}, training)
                callbacks = partial(self._callbacks, dict(configuration), split, training.epochs)
                blueprint = replace(blueprint, solo_reason=blueprint.solo_reason or str(told))
        source = BuiltModel(partial(self._model, dict(configuration)), problem.input_shape, callbacks)
        blueprint = replace(blueprint, source=source)
        reason = why_not(model, problem.input_shape, problem.dataset.given)
        if reason:
            self.failures.add(blueprint, reason)
        return Network(
            blueprint=blueprint,
            training=training,
            initial_weights=weights,
            logits=predicts_logits(training),
        )

    def _hyperparameters(self, configuration: Mapping[str, Any]) -> HyperParameters:
        hp = self._known.copy()
        hp.values = self._known.values_of(configuration)
        return hp

    def _model(self, configuration: Mapping[str, Any]) -> Any:
        """The model of a configuration, built anew."""
        return self.hypermodel.build(self._hyperparameters(configuration))

    def _fit_arguments(self, hp: HyperParameters, split: Split, epochs: int, model: Any) -> dict[str, Any]:
        validation = (split.x_val, split.y_val, *(() if split.w_val is None else (split.w_val,)))
        return fit_arguments(
            self.hypermodel, hp, model, split.x_train, split.y_train, validation=validation, epochs=epochs
        )

    def _callbacks(self, configuration: Mapping[str, Any], split: Split, epochs: int, model: Any) -> list[Any]:
        """New callbacks, as `HyperModel.fit` gives them to this model."""
        found = self._fit_arguments(self._hyperparameters(configuration), split, epochs, model)
        return list(found.get("callbacks") or ())
