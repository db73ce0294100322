"""Keras's own optimizers on stacked weights: its `update_step` is called, with rates of shape `(member, 1, ...)`.

What Keras does around the update is done here in its order, because Keras reduces over whole tensors there: clip,
decay, update, average, constrain (`keras.optimizers.Optimizer.apply`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from unitune.engine.lift.base import Key, Tensor, Unfusable, as_cast
from unitune.models.blueprint import OptimizerSpec
from unitune.models.identity import is_kerass
from unitune.records import Array

ELEMENTWISE = frozenset({"SGD", "RMSprop", "Adam", "AdamW", "Adamax", "Nadam", "Adagrad", "Adadelta", "Lion", "Ftrl"})
_WHY_NOT = {
    "Adafactor": "`Adafactor` factors each weight matrix over its rows and columns",
    "Muon": "`Muon` orthogonalises each weight matrix as a whole",
    "Lamb": "`Lamb` scales each update by the norm of its whole weight",
}
# Settings that only say which branch of the update runs: equal in a program, whatever their value.
_CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")
_PER_MEMBER = ("momentum", "beta_1", "beta_2", "rho", "epsilon")


@dataclass(frozen=True, kw_only=True)
class OptimizerNode:
    """An optimizer as a program knows it.

    Attributes:
        static: Settings that are equal for all members of the program.
        varying: Names of the settings that differ by member.
        clip: Which kind of clipping, or None.
        decays: Whether some member has weight decay.
        family: What the members that it updates have in common, as `same_program` says it.
    """

    class_name: str
    static: tuple[tuple[str, Key], ...]
    varying: tuple[str, ...] = ()
    clip: str | None = None
    decays: bool = False
    family: Key = None


@dataclass(frozen=True, kw_only=True)
class OptimizerReading:
    """One member's optimizer, sorted into what must be equal (`key`) and what may differ (`numbers`)."""

    class_name: str
    branches: tuple[Key, ...]
    settings: Mapping[str, Any]
    numbers: Mapping[str, float] = field(default_factory=dict)
    clip: str | None = None


def read_optimizer(spec: OptimizerSpec) -> OptimizerReading:
    """Sorts an optimizer's settings.

    Raises:
        Unfusable: If its update is not elementwise.
    """
    if "optimizer" in spec.config:
        why = "has no fused form" if is_kerass(spec.config["optimizer"], "optimizers") else "is a class of your own"
        raise Unfusable(f"the optimizer `{spec.class_name}` {why}")
    if spec.class_name not in ELEMENTWISE:
        reason = _WHY_NOT.get(spec.class_name, f"the optimizer `{spec.class_name}` has no fused form")
        raise Unfusable(reason)
    config = {name: value for name, value in spec.config.items() if name not in ("name", "learning_rate")}
    if config.pop("loss_scale_factor", None):
        raise Unfusable(f"`{spec.class_name}(loss_scale_factor=...)` has no fused form")
    numbers: dict[str, float] = {}
    decay = config.pop("weight_decay", 0.004 if spec.class_name == "AdamW" else None)
    numbers["weight_decay"] = as_cast(float(decay or 0.0))
    clip = None
    for name in _CLIPS:
        value = config.pop(name, None)
        if value:
            clip, numbers["clip"] = name, float(value)
    for name in _PER_MEMBER:
        if name in config:
            numbers[name] = float(config.pop(name))
    if numbers.get("epsilon") == 0.0 or config.get("initial_accumulator_value") == 0.0:
        # 0 / 0 in padded weights, which never have a gradient.
        raise Unfusable(f"`{spec.class_name}` without an epsilon or an initial accumulator has no fused form")
    if config.get("use_ema") and config.get("ema_overwrite_frequency"):
        raise Unfusable("`ema_overwrite_frequency` has no fused form")
    if not config.get("use_ema"):
        for name in ("use_ema", "ema_momentum", "ema_overwrite_frequency"):
            config.pop(name, None)
    settings = {name: value for name, value in config.items() if value is not None}
    # The numbers that Keras branches on: momentum is there or it is not.
    branches = tuple((name, value > 0) for name, value in sorted(numbers.items()) if name == "momentum")
    return OptimizerReading(
        class_name=spec.class_name, branches=branches, settings=settings, numbers=numbers, clip=clip
    )


def same_program(reading: OptimizerReading) -> Key:
    """What must be equal for two members' optimizers to share a program."""
    import keras

    names: Any = tuple(sorted(name for name in reading.numbers if name in _PER_MEMBER))
    if keras.config.floatx() != "float32":
        # Keras rounds some of these to float32 on the way, others not: only its own Python branch does the same.
        names = tuple((name, reading.numbers[name]) for name in names)
    return (reading.class_name, reading.branches, tuple(sorted(reading.settings.items())), reading.clip, names)


def join_optimizers(readings: Sequence[OptimizerReading]) -> OptimizerNode:
    """The optimizer of a program for these members: a setting is static where all agree on it."""
    first = readings[0]
    static: dict[str, Key] = dict(first.settings)
    varying = []
    for name in first.numbers:
        if name not in _PER_MEMBER:
            continue
        values = {reading.numbers[name] for reading in readings}
        if len(values) == 1:
            static[name] = values.pop()
        else:
            varying.append(name)
    return OptimizerNode(
        class_name=first.class_name,
        static=tuple(sorted(static.items())),
        varying=tuple(varying),
        clip=first.clip,
        decays=any(reading.numbers["weight_decay"] for reading in readings),
        family=same_program(first),
    )


def varying_numbers(node: OptimizerNode, readings: Sequence[OptimizerReading]) -> dict[str, Array]:
    """The members' own numbers, each `(member,)` float64; of a rate `r` also `1 - r`, rounded once as Keras does."""
    arrays = {}
    for name in node.varying:
        values = np.array([reading.numbers[name] for reading in readings])
        arrays[name] = values
        arrays[f"1-{name}"] = 1.0 - values
    if node.decays:
        arrays["weight_decay"] = np.array([reading.numbers["weight_decay"] for reading in readings])
    if node.clip:
        arrays["clip"] = np.array([reading.numbers["clip"] for reading in readings])
    return arrays


def shaped(vector: Tensor, like: Tensor) -> Tensor:
    """A `(member,)` tensor as `(member, 1, ...)` with the rank of `like`."""
    from keras import ops

    return ops.reshape(vector, (-1,) + (1,) * (len(like.shape) - 1))


def _by_row(vector: Tensor, size: int) -> Tensor:
    """A `(member,)` tensor as `(member * size, 1)`: for each row of the members' tables, which lie in one."""
    from keras import ops

    vector = ops.reshape(vector, (-1,))
    return ops.repeat(vector, size)[:, None] if vector.shape[0] > 1 else vector[:, None]


class StackedOptimizer:
    """An optimizer's update on stacked weights, as a function of tensors.

    Built once for a program, outside of tracing, because Keras's constructor makes variables.
    """

    def __init__(self, node: OptimizerNode, dtype: str) -> None:
        import keras

        self._node = node
        self._dtype = dtype
        # A number that differs by member is set while tracing; here Keras only has to see that it is there.
        config = dict(node.static) | dict.fromkeys(node.varying, 0.5)
        if self._node.class_name == "AdamW":
            config["weight_decay"] = 0.0  # decay is done here, for every optimizer alike
        self._keras = getattr(keras.optimizers, node.class_name)(learning_rate=1.0, **config)
        self.uses_ema = bool(config.get("use_ema"))
        self.accumulates = int(config.get("gradient_accumulation_steps") or 0)
        self._ema_momentum = float(config.get("ema_momentum", 0.99))
        self._keras.use_ema = False
        self._bound: tuple[list[Any], list[Any]] | None = None
        self._patch()

    def _patch(self) -> None:
        """Points the Keras object at stand-ins for its variables; only `update_step` and `build` are used."""
        optimizer = self._keras
        methods = {
            "assign": lambda variable, value: variable.assign(value),
            "assign_add": lambda variable, value: variable.assign(variable + value),
            "assign_sub": lambda variable, value: variable.assign(variable - value),
            "_get_variable_index": lambda variable: variable.index,
            "_var_key": id,
        }
        for name, method in methods.items():
            optimizer.__dict__[name] = method

    def slot_values(self, shapes: Sequence[tuple[int, ...]]) -> list[float]:
        """The initial value of each slot; there are `len(slot_values) / len(shapes)` slots for a weight."""
        return [slot.initial for slot in self._build(shapes)[1]]

    def slot_owner(self, shapes: Sequence[tuple[int, ...]]) -> list[int]:
        """Which weight each slot belongs to."""
        return [slot.index for slot in self._build(shapes)[1]]

    def update(
        self,
        gradients: Sequence[Tensor],
        weights: Sequence[Tensor],
        slots: Sequence[Tensor],
        learning_rate: Tensor,
        step: Tensor,
        numbers: Mapping[str, Tensor],
        extra: Tensor,
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """One step. Where gradients are accumulated, most steps only add to the sums, which are the first slots.

        Args:
            gradients, weights: `(member, ...)` each.
            slots: The optimizer's own state, in the order of `slot_values`.
            learning_rate: `(member,)`.
            step: Scalar int, steps done so far.
            numbers: The program's varying numbers, `(member,)` each.
            extra: Nadam's running product, a scalar; passed through by the others.

        Returns:
            Weights, slots and `extra` after the step.
        """
        from keras import ops

        if not self.accumulates:
            return self._updated(gradients, weights, slots, learning_rate, step, numbers, extra)
        sums = [g + before for g, before in zip(gradients, slots[: len(weights)], strict=True)]
        updated, kept, new_extra = self._updated(
            [one / self.accumulates for one in sums], weights, slots, learning_rate, step, numbers, extra
        )
        due = ops.equal((step + 1) % self.accumulates, 0)
        sums = [ops.where(due, ops.zeros_like(one), one) for one in sums]
        own = zip(kept[len(sums) :], slots[len(sums) :], strict=True)
        return (
            [ops.where(due, new, old) for new, old in zip(updated, weights, strict=True)],
            [*sums, *(ops.where(due, new, old) for new, old in own)],
            ops.where(due, new_extra, extra),
        )

    def _updates(self, step: Tensor) -> Tensor:
        """How many updates there were before a step."""
        return step // self.accumulates if self.accumulates else step

    def _updated(
        self,
        gradients: Sequence[Tensor],
        weights: Sequence[Tensor],
        slots: Sequence[Tensor],
        learning_rate: Tensor,
        step: Tensor,
        numbers: Mapping[str, Tensor],
        extra: Tensor,
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """One update."""
        from keras import ops

        gradients = self._clip(gradients, numbers)
        if self._node.decays:
            decay = numbers["weight_decay"] * 1.0
            weights = [w - w * shaped(decay, w) * shaped(learning_rate, w) for w in weights]
        variables, stand_ins = self._bind(weights, slots)
        optimizer = self._keras
        optimizer.__dict__["_iterations"] = step
        if self._node.class_name == "Nadam":
            beta = dict(self._node.static).get("beta_1", optimizer.beta_1)
            if "beta_1" in self._node.varying:
                beta = numbers["beta_1"]
            extra = extra * beta * (1.0 - 0.5 * ops.power(0.96, ops.cast(self._updates(step) + 1, self._dtype)))
        for gradient, variable in zip(gradients, variables, strict=True):
            by_row = hasattr(gradient, "indices")
            mine = [variable, *(one for one in stand_ins if one.index == variable.index)] if by_row else []
            whole = variable.shape
            for one in mine:
                one.reshape((-1, whole[-1]))
            as_wide = partial(_by_row, size=whole[1]) if by_row else partial(shaped, like=gradient)
            if self._node.class_name == "Nadam":
                optimizer.__dict__["_u_product"] = as_wide(extra)
            for name in self._node.varying:
                optimizer.__dict__[name] = _Setting(as_wide(numbers[name]), as_wide(numbers[f"1-{name}"]), self._dtype)
            optimizer.update_step(gradient, variable, as_wide(learning_rate))
            for one in mine:
                one.reshape(whole)
        return [v.value for v in variables], [s.value for s in stand_ins], extra

    def average(self, averages: Sequence[Tensor], weights: Sequence[Tensor], step: Tensor) -> list[Tensor]:
        """The exponential moving average after a step; the first step copies the weights."""
        from keras import ops

        momentum = ops.cast(ops.not_equal(self._updates(step), 0), self._dtype) * self._ema_momentum
        return [momentum * a + (1 - momentum) * w for a, w in zip(averages, weights, strict=True)]

    def _clip(self, gradients: Sequence[Tensor], numbers: Mapping[str, Tensor]) -> Sequence[Tensor]:
        from keras import ops

        if self._node.clip is None:
            return gradients
        limit = numbers["clip"]
        if self._node.clip == "clipvalue":
            return [ops.clip(g, -shaped(limit, g), shaped(limit, g)) for g in gradients]
        squares = [ops.sum(ops.square(g), axis=tuple(range(1, len(g.shape)))) for g in gradients]
        if self._node.clip == "clipnorm":
            return [
                g * shaped(limit, g) / shaped(ops.maximum(ops.sqrt(square), limit), g)
                for g, square in zip(gradients, squares, strict=True)
            ]
        norm = ops.sqrt(sum(squares[1:], squares[0]))
        # `norm - norm` is Keras's: an infinite norm gives NaN rather than a silent zero.
        scale = limit * ops.minimum(1.0 / norm, 1.0 / limit) + (norm - norm)
        return [g * shaped(scale, g) for g in gradients]

    def _build(self, shapes: Sequence[tuple[int, ...]]) -> tuple[list[Any], list[Any]]:
        """Stand-ins for the weights, and for the slots in the order in which Keras's `build` asks for them.

        Built once, outside of tracing: some optimizers make variables of their own here.
        """
        if self._bound is None:
            stand_in = _variable_class()
            variables = [stand_in(np.zeros(shape, self._dtype), self._dtype, i) for i, shape in enumerate(shapes)]
            made: list[Any] = []

            def add(reference: Any, name: str | None = None, initializer: Any = "zeros") -> Any:
                slot = stand_in(reference.value, self._dtype, reference.index)
                slot.initial = 0.0 if initializer == "zeros" else _constant(initializer, self._dtype)
                made.append(slot)
                return slot

            self._keras.__dict__["add_variable_from_reference"] = add
            self._keras.build(variables)
            self._bound = (variables, made)
        return self._bound

    def _bind(self, weights: Sequence[Tensor], slots: Sequence[Tensor]) -> tuple[list[Any], list[Any]]:
        """The stand-ins with these tensors in them. A program is traced by one thread at a time."""
        variables, made = self._build([tuple(weight.shape) for weight in weights])
        for stand_in, tensor in zip((*variables, *made), (*weights, *slots), strict=True):
            stand_in.assign(tensor)
        return variables, made


def _constant(initializer: Any, dtype: str) -> float:
    """What an initializer of equal numbers gives, in Keras's own arithmetic: TensorFlow casts by way of float32."""
    import keras

    return float(keras.ops.convert_to_numpy(initializer((1,), dtype=dtype))[0])


class _Setting:
    """A setting that differs by member: Keras's Python branches see a positive number, its formulas a tensor."""

    def __init__(self, value: Tensor, complement: Tensor, dtype: str) -> None:
        self.value = value
        self._complement = complement
        self.dtype = dtype
        self.shape = value.shape

    def __ne__(self, other: object) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]

    def __gt__(self, other: float) -> bool:
        return True

    def __rsub__(self, other: float) -> Tensor:
        return self._complement if other == 1 else other - self.value

    def __mul__(self, other: Tensor) -> Tensor:
        return self.value * _tensor(other)

    __rmul__ = __mul__

    def __add__(self, other: Tensor) -> Tensor:
        return self.value + _tensor(other)

    __radd__ = __add__

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Tensor:
        return self.value

    def __jax_array__(self) -> Tensor:
        return self.value


def _tensor(value: Any) -> Tensor:
    return getattr(value, "value", value) if not hasattr(value, "at") else value


def _variable_class() -> type:
    """A `keras.Variable` that holds a traced tensor; made on first use because Keras is imported late."""
    global _VARIABLE_CLASS
    if _VARIABLE_CLASS is None:
        import keras

        class StandIn(keras.Variable):  # type: ignore[misc]
            def __init__(self, tensor: Tensor, dtype: str, index: int) -> None:
                self._tensor = tensor
                self._dtype = dtype
                self._autocast = False
                self._shape = tuple(tensor.shape)
                self._trainable = True
                self._value = None
                self.index = index
                self.initial = 0.0

            @property
            def value(self) -> Tensor:
                return self._tensor

            @property
            def dtype(self) -> str:
                return self._dtype

            def reshape(self, shape: tuple[int, ...]) -> None:
                import keras

                self._tensor = keras.ops.reshape(self._tensor, shape)
                self._shape = tuple(self._tensor.shape)

            def assign(self, value: Any) -> Any:
                import keras

                self._tensor = keras.ops.cast(value, self._dtype)
                return self._tensor

        _VARIABLE_CLASS = StandIn
    return _VARIABLE_CLASS


_VARIABLE_CLASS: type | None = None
