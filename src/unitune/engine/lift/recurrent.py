"""SimpleRNN, GRU, LSTM and Bidirectional: the product with the inputs for all steps at once, then step after step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from unitune.engine.lift.activation import activation_key, apply_key, is_elementwise, keeps_zero
from unitune.engine.lift.base import Context, Node, ProgramNode, Tensor, Unfusable, lift, lift_of
from unitune.engine.lift.penalty import penalties, refuse, trained
from unitune.models.shape_rules import RULES, Shape

_GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}
_REFUSED = ("dropout", "recurrent_dropout", "return_state", "stateful", "time_major")


@lift(*_GATES)
class Recurrent:
    """A layer with a state, over the second axis of `(batch, step, feature)`."""

    def read(self, config: Mapping[str, Any], *shapes: Shape) -> list[Node]:
        """One node; its weights have the units once for each gate."""
        name = config["class_name"]
        refuse(name, config, *_REFUSED)
        if len(shapes) > 1 or config.get("call_arguments"):
            raise Unfusable(f"`{name}` with further inputs has no fused form")
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
        (steps, _), out = shapes[0], RULES[name](config, shapes[0])[1]
        sequences = bool(config.get("return_sequences"))
        # Keras gives what it found from the last step on in that order.
        order = ("down" if sequences else "last") if config.get("go_backwards") else "up"
        return [
            Node(
                kind="LSTM",
                shape=out,
                static=(name, inner, gate, len(weights) > 2, after, sequences, order),
                weights=tuple(weights),
                numbers=penalties(config, weights),
                layout="own",
                # A padded unit that does not stay at zero would be seen by the others in the next step.
                exact_width=not keeps_zero(inner),
                work=steps * gates * 1.5,
            )
        ]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """The state starts at zero."""
        from keras import ops

        name, inner, gate, use_bias, after, sequences, order = node.static
        members, batch, steps, _ = x.shape
        kernel, recurrent = weights[0], weights[1]
        bias = weights[2] if use_bias else None
        given = ops.matmul(ops.reshape(x, (members, batch * steps, -1)), kernel)
        if bias is not None:
            given = given + (bias[:, :1] if name == "GRU" and after else bias[:, None, :])
        given = ops.reshape(given, (members, batch, steps, -1))
        # Steps first, so that one is a contiguous part.
        given = ops.transpose(given, (2, 0, 1, 3))
        if order != "up":
            given = ops.flip(given, axis=0)
        own_bias = bias[:, 1:] if bias is not None and name == "GRU" and after else None
        zero = ops.zeros((members, batch, node.width), x.dtype)
        step = _step(name, inner, gate, recurrent, own_bias, after, node.width)
        states = (zero, zero) if name == "LSTM" else (zero,)
        if steps <= _UNROLLED:
            found = []
            for i in range(steps):
                states = step(states, given[i])
                found.append(states[0])
            y = ops.stack(found, axis=2) if sequences else states[0]
        else:
            states, every = context.scan(step, states, given)
            y = ops.transpose(every, (1, 2, 0, 3)) if sequences else states[0]
        return (ops.flip(y, axis=2) if order == "down, turned" else y), weights


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
        both = []
        for one in layers:
            own = {"class_name": one["class_name"], **one["config"]}
            if own.get("trainable") is False and config.get("trainable") is not False:
                raise Unfusable(f"`{one['class_name']}(trainable=False)` has no fused form")
            if "call_arguments" in config:
                own["call_arguments"] = config["call_arguments"]
            (node,) = Recurrent().read(own, *shapes)
            both.append(replace(node, inputs=(-1,)))
        forward, backward = both
        *how, order = backward.static
        if order == "down":  # what the second layer gives is turned round, to lie beside that of the first
            backward = replace(backward, static=(*how, "down, turned"))
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


def _step(name: str, inner: Any, gate: Any, recurrent: Tensor, bias: Tensor | None, after: bool, units: int) -> _Step:
    """One step: from the states and the inputs' part to the states."""
    from keras import ops

    def split(z: Tensor, n: int) -> list[Tensor]:
        return [z[..., i * units : (i + 1) * units] for i in range(n)]

    def simple(states: tuple[Tensor, ...], z: Tensor) -> tuple[Tensor, ...]:
        return (apply_key(inner, z + ops.matmul(states[0], recurrent)),)

    def lstm(states: tuple[Tensor, ...], z: Tensor) -> tuple[Tensor, ...]:
        hidden, carry = states
        enter, forget, new, leave = split(z + ops.matmul(hidden, recurrent), 4)
        carry = apply_key(gate, forget) * carry + apply_key(gate, enter) * apply_key(inner, new)
        return apply_key(gate, leave) * apply_key(inner, carry), carry

    def gru(states: tuple[Tensor, ...], z: Tensor) -> tuple[Tensor, ...]:
        (hidden,) = states
        update_in, reset_in, new_in = split(z, 3)
        if after:
            own = ops.matmul(hidden, recurrent)
            if bias is not None:
                own = own + bias
            update_own, reset_own, new_own = split(own, 3)
        else:
            own = ops.matmul(hidden, recurrent[..., : 2 * units])
            update_own, reset_own = split(own, 2)
        update, reset = apply_key(gate, update_in + update_own), apply_key(gate, reset_in + reset_own)
        new_own = reset * new_own if after else ops.matmul(reset * hidden, recurrent[..., 2 * units :])
        return (update * hidden + (1 - update) * apply_key(inner, new_in + new_own),)

    return {"SimpleRNN": simple, "LSTM": lstm, "GRU": gru}[name]
