"""SimpleRNN, GRU, LSTM and Bidirectional: the product with the inputs for all steps at once, then step after step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from unitune.engine.lift.activation import activation_key, apply_key, is_elementwise, keeps_zero
from unitune.engine.lift.base import Context, Key, Node, ProgramNode, Tensor, Unfusable, lift, lift_of
from unitune.engine.lift.optimizer import shaped
from unitune.engine.lift.penalty import penalties, refuse, trained
from unitune.models.identity import is_seed
from unitune.models.shape_rules import Shape

_GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}
_REFUSED = ("stateful", "time_major")


@dataclass(frozen=True, kw_only=True)
class _Form:
    """What is equal for all members of a program.

    Attributes:
        name: `"LSTM"`, `"GRU"` or `"SimpleRNN"`.
        inner, gate: Keys of the activations.
        use_bias, after: As the arguments `use_bias` and `reset_after`.
        sequences: Whether the output of every step comes out.
        order: `"up"`; from the last step on `"last"`, or `"down"` where every step comes out in that order, or
            `"down, turned"` in the order of the steps.
        named: The inputs that are given by name: `"mask"`, `"initial_state"`.
        drops: Whether it drops inputs, and states.
        result: What comes out: `"output"`, or the last state, `"hidden"` or `"carry"`.
        zeroes: Whether the output of a masked step is zero, not that of the step before.
    """

    name: str
    inner: Key
    gate: Key
    use_bias: bool
    after: bool
    sequences: bool
    order: str
    named: tuple[str, ...] = ()
    drops: tuple[bool, bool] = (False, False)
    result: str = "output"
    zeroes: bool = False

    @property
    def draws(self) -> tuple[int, int]:
        """How often it draws for inputs, and for states, whenever it is called, in inference too."""
        each = _GATES[self.name] if self.drops[1] and self.name != "SimpleRNN" else 1
        return each * self.drops[0], each * self.drops[1]


@lift(*_GATES)
class Recurrent:
    """A layer with a state, over the second axis of `(batch, step, feature)`."""

    def read(self, config: Mapping[str, Any], *shapes: Shape) -> list[Node]:
        """One node; its weights have the units once for each gate."""
        name = config["class_name"]
        refuse(name, config, *_REFUSED)
        named = tuple(config.get("call_named", ()))
        if len(shapes) > 1 + len(named) or config.get("call_arguments") or set(named) - {"mask", "initial_state"}:
            raise Unfusable(f"`{name}` with further inputs has no fused form")
        if {"mask", "initial_state"} <= set(named):
            raise Unfusable(f"`{name}` with a mask and a first state has no fused form")
        gates, after = _GATES[name], bool(config.get("reset_after", True))
        weights = [
            trained(config, "kernel", ("in", ("out", gates))),
            trained(config, "recurrent", ("out", ("out", gates))),
        ]
        if config.get("use_bias", True):
            axes: tuple[Any, ...] = (2, ("out", gates)) if name == "GRU" and after else (("out", gates),)
            weights.append(trained(config, "bias", axes))
        inner = activation_key(config.get("activation", "tanh"))
        gate = activation_key(config.get("recurrent_activation", "sigmoid"))
        if not (is_elementwise(inner) and is_elementwise(gate)):
            raise Unfusable(f"`{name}` with an activation of whole rows has no fused form")
        rates = {"rate": "dropout", "recurrent_rate": "recurrent_dropout"}
        numbers = {ours: float(config.get(theirs) or 0.0) for ours, theirs in rates.items()}
        if max(numbers.values()) >= 1.0:
            raise Unfusable(f"`{name}` that drops everything has no fused form")
        drops = (numbers["rate"] > 0, numbers["recurrent_rate"] > 0)
        sequences, (steps, _) = bool(config.get("return_sequences")), shapes[0]
        last = (int(config["units"]),)
        # Keras gives what it found from the last step on in that order.
        order = ("down" if sequences else "last") if config.get("go_backwards") else "up"
        zeroes = bool(config.get("zero_output_for_mask"))
        if zeroes and not sequences and "mask" in named:
            raise Unfusable(f"`{name}(zero_output_for_mask=True)` without all steps has no fused form")
        form = _Form(
            name=name,
            inner=inner,
            gate=gate,
            use_bias=len(weights) > 2,
            after=after,
            sequences=sequences,
            order=order,
            named=named,
            drops=drops,
            zeroes=zeroes,
        )
        node = Node(
            kind="LSTM",
            shape=(steps, *last) if sequences else last,
            static=(form,),
            weights=tuple(weights),
            numbers=penalties(config, weights) | {ours: rate for ours, rate in numbers.items() if rate},
            layout="own",
            # A padded unit that does not stay at zero would be seen by the others in the next step; and a first state
            # need not be padded as this one is.
            exact_width=not keeps_zero(inner) or any(drops) or "initial_state" in named,
            random=any(drops),
            work=steps * gates * 1.5,
        )
        states = [state for state in ("hidden", "carry")[: 1 + (name == "LSTM")] if sequences or state == "carry"]
        # What a compiler finds to be the same as before is not computed again.
        taken = tuple(-1 - i for i in range(len(shapes)))
        also = [
            replace(node, shape=last, inputs=taken, static=(replace(form, result=state),), owner=0) for state in states
        ]
        return [node, *(also if config.get("return_state") else [])]

    def results(self, config: Mapping[str, Any]) -> tuple[int, ...]:
        """The nodes whose outputs a layer with `return_state=True` gives."""
        states = tuple(range(1, 2 + (config["class_name"] == "LSTM")))
        return (0, *states) if config.get("return_sequences") else (0, *(state - 1 for state in states))

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Any, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """The state starts at zero, or at what is given; at a masked step it stays what it was."""
        from keras import ops

        form: _Form = node.static[0]
        x, *named = x if isinstance(x, list) else [x]
        first = [one for name, one in zip(form.named, named, strict=True) if name == "initial_state"]
        masks = [one for name, one in zip(form.named, named, strict=True) if name == "mask"]
        members, batch, steps, _ = x.shape
        kernel, recurrent = weights[0], weights[1]
        bias = weights[2] if form.use_bias else None
        dropped, kept = self._dropped(node, form, x, context)
        given = _projected(dropped, kernel, node.width)
        split_bias = bias is not None and form.name == "GRU" and form.after
        if bias is not None:
            given = given + (bias[:, :1] if split_bias else bias[:, None, :])
        # Steps first, so that one is a contiguous part.
        given = ops.transpose(ops.reshape(given, (members, batch, steps, -1)), (2, 0, 1, 3))
        if masks:
            seen = ops.transpose(ops.cast(masks[0], x.dtype), (2, 0, 1))
            given = ops.concatenate([given, seen[..., None]], axis=-1)
        if form.order != "up":
            given = ops.flip(given, axis=0)
        zero = ops.zeros((members, batch, node.width), x.dtype)
        step = _step(form, recurrent, bias[:, 1:] if bias is not None and split_bias else None, kept, node.width)
        if masks:
            step = _where_seen(step)
        states = tuple(first) if first else (zero, zero) if form.name == "LSTM" else (zero,)
        if steps <= _UNROLLED:
            found = []
            for i in range(steps):
                states = step(states, given[i])
                found.append(states[0])
            every = ops.stack(found, axis=0)
        else:
            states, every = context.scan(step, states, given)
        if form.result != "output" or not form.sequences:
            return states[1 if form.result == "carry" else 0], weights
        if masks and form.zeroes:
            every = ops.where(given[..., -1:] > 0, every, 0.0)
        y = ops.transpose(every, (1, 2, 0, 3))
        return (ops.flip(y, axis=2) if form.order == "down, turned" else y), weights

    @staticmethod
    def _dropped(
        node: ProgramNode, form: _Form, x: Tensor, context: Context
    ) -> tuple[list[Tensor], list[Tensor] | None]:
        """The inputs of the gates, or of all at once, and by what states are multiplied.

        Keras draws once for a batch, whatever the steps, and also where nothing is dropped.
        """
        from keras import ops

        inputs, states = form.draws
        if not context.training or not inputs + states:
            return [x], None

        def factors(rate: str, first: int, n: int, width: int) -> list[Tensor]:
            if not n:
                return []
            count = context.calls * (inputs + states)
            kept = [
                context.keep(node, (width,), along_width=False, rate=rate, count=count + first + i) for i in range(n)
            ]
            scale = context.numbers[node.index, rate.replace("rate", "scale")]
            return [ops.where(one, shaped(scale, one), 0.0) for one in kept]

        of_inputs = [x * one[:, :, None, :] for one in factors("rate", 0, inputs, node.width_in)]
        return of_inputs or [x], factors("recurrent_rate", inputs, states, node.width) or None


_MERGED = {"concat": "Concatenate", "sum": "Add", "ave": "Average", "mul": "Multiply"}


@lift("Bidirectional")
class Bidirectional:
    """A recurrent layer from the first step on, one from the last step on, and what comes out of both put together."""

    def read(self, config: Mapping[str, Any], *shapes: Shape) -> list[Node]:
        """Both layers' nodes, and the one that merges them."""
        merged = _MERGED.get(config.get("merge_mode", "concat"))
        layers = [config["layer"], config.get("backward_layer")]
        if merged is None or any(one is None or one["class_name"] not in _GATES for one in layers):
            raise Unfusable("`Bidirectional` of this form has no fused form")
        both: list[Node] = []
        for one in layers:
            own = {"class_name": one["class_name"], **one["config"]}
            if own.get("trainable") is False and config.get("trainable") is not False:
                raise Unfusable(f"`{one['class_name']}(trainable=False)` has no fused form")
            own |= {name: config[name] for name in ("call_arguments", "call_named") if name in config}
            if own.get("return_state") or "initial_state" in own.get("call_named", ()):
                raise Unfusable("`Bidirectional` with states has no fused form")
            if is_seed(own.get("seed")) and (own.get("dropout") or own.get("recurrent_dropout")):
                raise Unfusable("`Bidirectional` with a seed of your own has no fused form")
            (node,) = Recurrent().read(own, *shapes)
            # Its generator is that of the layer's cell, of those within: the first layer, its cell, the second, ...
            both.append(replace(node, inputs=tuple(-1 - i for i in range(len(shapes))), part=2 + 2 * len(both)))
        forms = [replace(node.static[0], zeroes=node.static[0].sequences) for node in both]
        if forms[1].order == "down":  # what the second layer gives is turned round, to lie beside that of the first
            forms[1] = replace(forms[1], order="down, turned")
        forward, backward = (replace(node, static=(form,)) for node, form in zip(both, forms, strict=True))
        joining: Mapping[str, Any] = {"class_name": merged, "axis": -1}
        (merge,) = lift_of(merged).read(joining, forward.shape, backward.shape)
        return [forward, backward, replace(merge, inputs=(0, 1))]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Never: its nodes are of other kinds."""
        raise NotImplementedError


# Steps that are written out one by one; longer sequences run in a loop, which compiles sooner and runs slower.
_UNROLLED = 8

_Step = Callable[[tuple[Tensor, ...], Tensor], tuple[Tensor, ...]]


def _projected(inputs: list[Tensor], kernel: Tensor, units: int) -> Tensor:
    """`(member, batch * step, gates * units)`: the product of the inputs, one for all gates or one for each."""
    from keras import ops

    flat = [ops.reshape(one, (one.shape[0], one.shape[1] * one.shape[2], -1)) for one in inputs]
    if len(flat) == 1:
        return ops.matmul(flat[0], kernel)
    parts = [ops.matmul(one, kernel[..., i * units : (i + 1) * units]) for i, one in enumerate(flat)]
    return ops.concatenate(parts, axis=-1)


def _where_seen(step: _Step) -> _Step:
    """A step that changes the states only where the last number of what it is given is not 0."""
    from keras import ops

    def masked(states: tuple[Tensor, ...], z: Tensor) -> tuple[Tensor, ...]:
        seen = z[..., -1:] > 0
        return tuple(ops.where(seen, new, old) for new, old in zip(step(states, z[..., :-1]), states, strict=True))

    return masked


def _step(form: _Form, recurrent: Tensor, bias: Tensor | None, kept: list[Tensor] | None, units: int) -> _Step:
    """One step: from the states and the inputs' part to the states. `kept` multiplies the states, for each gate."""
    from keras import ops

    inner, gate = form.inner, form.gate

    def split(z: Tensor, n: int) -> list[Tensor]:
        return [z[..., i * units : (i + 1) * units] for i in range(n)]

    def product(hidden: Tensor, first: int, last: int) -> Tensor:
        """The product of the state with the weights of some gates."""
        if kept is None:
            return ops.matmul(hidden, recurrent[..., first * units : last * units])
        parts = [ops.matmul(hidden * kept[i], recurrent[..., i * units : (i + 1) * units]) for i in range(first, last)]
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)

    def simple(states: tuple[Tensor, ...], z: Tensor) -> tuple[Tensor, ...]:
        return (apply_key(inner, z + product(states[0], 0, 1)),)

    def lstm(states: tuple[Tensor, ...], z: Tensor) -> tuple[Tensor, ...]:
        hidden, carry = states
        enter, forget, new, leave = split(z + product(hidden, 0, 4), 4)
        carry = apply_key(gate, forget) * carry + apply_key(gate, enter) * apply_key(inner, new)
        return apply_key(gate, leave) * apply_key(inner, carry), carry

    def gru(states: tuple[Tensor, ...], z: Tensor) -> tuple[Tensor, ...]:
        (hidden,) = states
        update_in, reset_in, new_in = split(z, 3)
        if form.after:
            own = product(hidden, 0, 3)
            if bias is not None:
                own = own + bias
            update_own, reset_own, new_own = split(own, 3)
        else:
            update_own, reset_own = split(product(hidden, 0, 2), 2)
        update, reset = apply_key(gate, update_in + update_own), apply_key(gate, reset_in + reset_own)
        new_own = reset * new_own if form.after else product(reset * hidden, 2, 3)
        return (update * hidden + (1 - update) * apply_key(inner, new_in + new_own),)

    return {"SimpleRNN": simple, "LSTM": lstm, "GRU": gru}[form.name]
