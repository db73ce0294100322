"""One epoch of many members as `jax.vmap` of Keras's own `train_step` and `test_step`, compiled.

A model is built once, and only traced: what a member has of its own (weights, the state of dropout, the optimizer's
variables) goes in and comes out as arrays whose leading axis is the member.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from unitune.data.arrays import Split, n_rows, row_shape, take_rows
from unitune.engine.callbacks import early_stopping, kept_at_the_end, reduce_on_plateau
from unitune.engine.contract import Job
from unitune.engine.program_key import State
from unitune.engine.solo import by_key, logged_names
from unitune.models import optimizers
from unitune.models.blueprint import Schedule, Training
from unitune.models.build import bare_model, compile_model, initial_weights, seed_states
from unitune.records import Array


class CannotVmap(Exception):  # noqa: N818  (a finding, not a failure: the member runs solo)
    """A model or its training is not to be vmapped; the message is the reason that the user reads."""


class VmappedProgram:
    """The compiled epoch of members with equal keys (`unitune.engine.vmap.alike`).

    Args:
        job: One of the members.
        split: Its rows.

    Attributes:
        metrics: The names of the columns of a history, of training and of validation rows alike.

    Raises:
        CannotVmap: With the reason.
    """

    def __init__(self, job: Job, split: Split) -> None:
        import jax

        training = job.training
        self.metrics = ("loss", *training.metric_names)
        self.batch_size = training.batch_size
        self.n_train, self.n_val = n_rows(split.x_train), n_rows(split.x_val)
        self._plateau = training.plateau is not None
        self._blueprint = job.blueprint
        self._shape = row_shape(split.x_train)
        self._model = bare_model(job.blueprint, self._shape)
        _check_steps(self._model)
        compile_model(self._model, _at_constant_rate(training))
        self._model._symbolic_build(data_batch=self._batch(_first_rows(split)))
        self._names = logged_names(self._model, training)
        self._model.reset_metrics()
        self._fresh = [np.asarray(v) for v in self._model.metrics_variables]
        self.dtype = np.dtype(str(self._optimizer.learning_rate.dtype))
        self._rate = _place(self._optimizer.learning_rate, self._optimizer.variables)
        weights = self._model.weights
        self._trained = [_place(v, weights) for v in self._model.trainable_variables]
        self._others = [_place(v, weights, -1) for v in self._model.non_trainable_variables]
        self.run = jax.jit(self._run, donate_argnums=0)
        self.predict = jax.jit(jax.vmap(self._predict, in_axes=(0, 0, None, None)))

    @property
    def _optimizer(self) -> Any:
        return self._model.optimizer

    # What members bring ------------------------------------------------------------------------------------------

    def first_state(self, jobs: Sequence[Job]) -> State:
        """The stacked variables of these members before their first epoch."""
        own = [self._first_state(job) for job in jobs]
        return {
            name: [np.stack([one[name][i] for one in own]) for i in range(len(own[0][name]))]
            for name in ("trained", "others", "optimizer")
        }

    def _first_state(self, job: Job) -> dict[str, list[Array]]:
        model = self._model
        weights = job.initial_weights
        if weights is None:
            weights = initial_weights(job.blueprint, self._shape, job.member.seed)
        seeds = {id(v): state for v, state in seed_states(model, self._blueprint, job.member.seed)}
        trained = [
            np.asarray(weights[i], v.dtype) for i, v in zip(self._trained, model.trainable_variables, strict=True)
        ]
        others = [
            np.asarray(weights[i] if i >= 0 else seeds.get(id(v), v), v.dtype)
            for i, v in zip(self._others, model.non_trainable_variables, strict=True)
        ]
        return {"trained": trained, "others": others, "optimizer": self._first_optimizer_state(trained)}

    def _first_optimizer_state(self, trained: Sequence[Array]) -> list[Array]:
        kind = type(self._optimizer)
        if kind.__module__.split(".")[0] == "keras" and kind.__name__ != "ScheduleFreeAdamW":
            return [np.asarray(v) for v in self._optimizer.variables]
        # Its slots may begin as copies of the weights.
        for variable, value in zip(self._model.trainable_variables, trained, strict=True):
            variable.assign(value)
        fresh = kind.from_config(self._optimizer.get_config())
        fresh.build(self._model.trainable_variables)
        return [np.asarray(v) for v in fresh.variables]

    def weights_of(self, kept: Sequence[Array], place: int) -> tuple[Array, ...]:
        """A member's weights in the order of `keras.Model.get_weights()`, from the stacked ones that were kept."""
        found: dict[int, Array] = dict(zip([*self._trained, *self._others], kept, strict=True))
        return tuple(found[i][place] for i in range(len(self._model.weights)))

    # What is traced ----------------------------------------------------------------------------------------------

    def _run(self, state: State, hyper: State, rows: State, plan: State) -> tuple[State, Any]:
        """One epoch of all members.

        Args:
            state: `trained`, `others`, `optimizer`: lists of `(member, ...)`; and what the callbacks remember.
            hyper: The callbacks' numbers, `(member,)`.
            rows: `x`, `y`: nested `(split, row, ...)`, training rows first; `w_train` and `w_validation`,
                `(split, row)` or None.
            plan: `split (member,)`, `order (member, row)` int32, `rates (member, step)`, `epoch` scalar.

        Returns:
            The state, and the epoch's row of a history: `(member, column)`, training metrics first, then those of the
            validation rows, then the factor on the learning rate.
        """
        import jax
        import jax.numpy as jnp

        rates = plan["rates"]
        if self._plateau:
            rates = rates * state["rate_factor"][:, None]
        parts = (state["trained"], state["others"], state["optimizer"])
        (trained, others, optimizer), train, validation = jax.vmap(self._epoch, in_axes=(0, 0, 0, 0, None))(
            parts, plan["split"], plan["order"], rates, rows
        )
        new = dict(state) | {"trained": trained, "others": others, "optimizer": optimizer}
        ended = jax.vmap(self._finalized)(trained, optimizer)
        candidates = kept_at_the_end([*trained, *others], ended, range(len(trained)), hyper["restores"])
        never = jnp.zeros((), bool)
        new |= early_stopping(state, hyper, plan["epoch"], train, validation, candidates, never)
        columns = [train, validation]
        if self._plateau:
            columns.append(state["rate_factor"][:, None])
            new |= reduce_on_plateau(state, hyper, plan["epoch"], train, validation, never)
        return new, jnp.concatenate(columns, axis=-1)

    def _epoch(self, parts: Any, split: Any, order: Any, rates: Any, rows: State) -> Any:
        """One epoch of one member: every batch, the last smaller one too, then the validation rows."""
        import jax
        import jax.numpy as jnp

        size = self.batch_size

        def batch_at(part: str, chosen: Any) -> Any:
            """Training rows come first among all rows; weights are of one kind of rows only."""
            first = 0 if part == "train" else self.n_train
            x, y = jax.tree.map(lambda array: array[split, first + chosen], (rows["x"], rows["y"]))
            weights = rows[f"w_{part}"]
            return self._batch((x, y, None if weights is None else weights[split, chosen]))

        def train(carry: Any, step: Any) -> Any:
            rate, chosen = step
            trained, others, optimizer, metrics = carry
            optimizer = [*optimizer]
            optimizer[self._rate] = rate
            old = (trained, others, optimizer, metrics)
            _, new = self._model.train_step(old, batch_at("train", chosen))
            return _of_types(new, old), None

        def test(carry: Any, chosen: Any) -> Any:
            _, new = self._model.test_step(carry, batch_at("validation", chosen))
            return _of_types(new, carry), None

        fresh = [jnp.asarray(v) for v in self._fresh]
        trained, others, optimizer = parts
        whole = self.n_train // size
        carry = (list(trained), list(others), list(optimizer), fresh)
        if whole:
            steps = (rates[:whole], order[: whole * size].reshape(whole, size))
            carry, _ = jax.lax.scan(train, carry, steps)
        if self.n_train % size:
            carry, _ = train(carry, (rates[whole], order[whole * size :]))
        trained, others, optimizer, metrics = carry
        seen = self._logs(metrics)
        if not self.n_val:
            return (trained, others, optimizer), seen, jnp.full_like(seen, jnp.nan)
        tested = (list(trained), list(others), fresh)
        whole = self.n_val // size
        chosen = jnp.arange(self.n_val, dtype="int32")
        if whole:
            tested, _ = jax.lax.scan(test, tested, chosen[: whole * size].reshape(whole, size))
        if self.n_val % size:
            tested, _ = test(tested, chosen[whole * size :])
        trained, others, metrics = tested
        return (trained, others, optimizer), seen, self._logs(metrics)

    def _batch(self, rows: Any) -> Any:
        """Rows as `train_step` takes them: `(x, y)` or `(x, y, weights)`."""
        x, y, w = rows
        if w is None:
            return x, by_key(y, self._blueprint.output_keys)
        return x, by_key(y, self._blueprint.output_keys), w

    def _logs(self, metrics: Sequence[Any]) -> Any:
        """`(metric,)`: what the model logs when its metrics have these variables."""
        import jax.numpy as jnp
        import keras

        with keras.StatelessScope(state_mapping=list(zip(self._model.metrics_variables, metrics, strict=True))):
            logs = self._model.get_metrics_result()
        return jnp.stack([jnp.asarray(logs[self._names[name]], self.dtype).reshape(()) for name in self.metrics])

    def _finalized(self, trained: Sequence[Any], optimizer: Sequence[Any]) -> list[Any]:
        """The trained weights as the optimizer leaves them when `fit` ends: their average, where it keeps one."""
        import keras

        variables = self._model.trainable_variables
        mapping = [*zip(variables, trained, strict=True), *zip(self._optimizer.variables, optimizer, strict=True)]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            self._optimizer.finalize_variable_values(variables)
        return [scope.get_current_value(variable) for variable in variables]

    def _predict(self, kept: Sequence[Any], split: Any, x: Any, chosen: Any) -> Any:
        """`(row, output)` for the chosen rows of a split, in inference mode; several outputs side by side."""
        import jax
        import jax.numpy as jnp

        trained, others = kept[: len(self._trained)], kept[len(self._trained) :]
        mine = jax.tree.map(lambda array: array[split, chosen], x)
        outputs, _ = self._model.stateless_call(trained, others, mine, training=False)
        parts = [one.reshape(len(one), -1) for one in jax.tree.leaves(outputs)]
        return jnp.concatenate(parts, axis=1)


def _of_types(new: Any, old: Any) -> Any:
    """A step's state in the types of the state before it, as a loop needs it and variables have it."""
    import jax

    return jax.tree.map(lambda one, other: one.astype(other.dtype), tuple(map(list, new)), tuple(map(list, old)))


def _at_constant_rate(training: Training) -> Training:
    """The training with its rate in a variable of the optimizer: each step is given that of the schedule."""
    live = training.optimizer.config.get("optimizer")
    if live is not None and optimizers.learning_rate_schedule(live) is not None:
        raise CannotVmap(f"`{type(live).__name__}` has a schedule of its own")
    return replace(training, schedule=Schedule())


def _check_steps(model: Any) -> None:
    """Refuses a model that trains by code of its own, which `vmap` need not be able to take apart.

    Raises:
        CannotVmap: With the reason.
    """
    import keras

    for name in ("train_step", "test_step", "compute_loss", "compute_metrics", "fit"):
        if getattr(type(model), name, None) is not getattr(keras.Model, name):
            raise CannotVmap(f"the model has a `{name}` of its own")


def _first_rows(split: Split) -> tuple[Any, Any, Any]:
    one = slice(0, 1)
    return (
        take_rows(split.x_train, one),
        take_rows(split.y_train, one),
        None if split.w_train is None else split.w_train[one],
    )


def _place(variable: Any, among: Sequence[Any], otherwise: int | None = None) -> int:
    """Where a variable is among others."""
    for place, other in enumerate(among):
        if other is variable:
            return place
    if otherwise is None:
        raise CannotVmap(f"`{variable.name}` is not among the variables that are trained")
    return otherwise
