"""A program: train and evaluate one tile of stacked members for some epochs, as one compiled function.

Everything here is traced once per shape. State goes in and comes out as nested tensors whose leading axis is the
member. The members of a tile belong to the same fold and repeat, so they share its rows, and they have the same
activations, so that a branch is taken once for all of them. One call runs a chunk of epochs and, if asked, ends with a
pass over all rows at the weights that were kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from unitune.engine.callbacks import early_stopping, kept_at_the_end, reduce_on_plateau
from unitune.engine.lift.activation import keeps_zero
from unitune.engine.lift.base import Context, ProgramNode, Tensor, lift_of
from unitune.engine.lift.optimizer import StackedOptimizer, shaped
from unitune.engine.lift.penalty import constrain, penalty
from unitune.engine.losses import loss_function, metric_functions
from unitune.engine.probes import (
    ACTIVATION_PROBES,
    UPDATE_PROBES,
    activation_probe,
    activation_summary,
    update_probe,
)
from unitune.engine.program_key import Backend, ProgramKey, State


class Program:
    """The compiled function of a key. Thread-safe: it holds no state of its own."""

    def __init__(self, key: ProgramKey, backend: Backend) -> None:
        self.key = key
        self.backend = backend
        self.weight_nodes = [(node, weight) for node in key.nodes for weight in node.weights]
        self.trainable = [i for i, (_, weight) in enumerate(self.weight_nodes) if weight.trainable]
        self.shapes = [(key.members, *weight.shape(node.width_in, node.width)) for node, weight in self.weight_nodes]
        activations = [node for node in key.nodes if node.kind == "Activation"]
        self.hidden = [node for node in activations if node.index < len(key.nodes) - 1]
        self.products = [node for node in key.nodes if node.kind == "Dense"]
        self.optimizer = StackedOptimizer(key.optimizer, key.dtype)
        trainable_shapes = [self.shapes[i] for i in self.trainable]
        self.slot_values = self.optimizer.slot_values(trainable_shapes)
        owners = self.optimizer.slot_owner(trainable_shapes)
        self.slot_shapes = [trainable_shapes[owner] for owner in owners]
        self.metrics = ("loss", *key.metrics)
        self.columns = self._columns()
        self._loss = loss_function(key.loss)
        self._metrics = metric_functions(key.metrics, key.outputs)
        for node in activations:
            for function in node.functions:
                keeps_zero(function)  # tried here because a function cannot be tried while tracing
        self.run = backend.compile(self._run)

    def _columns(self) -> list[tuple[str, str, int]]:
        """What the columns of a history are: `(kind, name, layer)`."""
        columns = [(kind, name, 0) for kind in ("train", "validation") for name in self.metrics]
        if self.key.plateau:
            columns.append(("rate", "factor", 0))
        if self.key.probes:
            columns += [("probe", name, layer) for layer in range(len(self.hidden)) for name in ACTIVATION_PROBES]
            columns += [("probe", name, layer) for layer in range(len(self.products)) for name in UPDATE_PROBES]
        return columns

    # The pieces of an epoch -------------------------------------------------------------------------------------

    def _forward(
        self, weights: Sequence[Tensor], x: Tensor, context: Context, outputs: dict[int, Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """The output `(member, batch, output)` and the weights as the pass leaves them."""
        from keras import ops

        new_weights: list[Tensor] = []
        place = 0
        h = ops.broadcast_to(ops.expand_dims(x, 0), (self.key.members, *x.shape))
        for node in self.key.nodes:
            mine = list(weights[place : place + len(node.weights)])
            place += len(node.weights)
            h, changed = lift_of(node.kind).apply(node, mine, h, context)
            new_weights.extend(changed)
            if outputs is not None:
                outputs[node.index] = h
        return h, new_weights

    def _context(self, hyper: State, *, training: bool, row_mask: Tensor, n_rows: Tensor, step: Tensor) -> Context:
        numbers = hyper["numbers"]

        def keep(node: ProgramNode) -> Tensor:
            width = hyper["widths"][node.index]
            seeds = hyper["seeds"][node.index]
            uniform = self.backend.uniform(seeds, step, int(row_mask.shape[0]), width, node.width, self.key.dtype)
            return self.backend.keep(uniform, shaped(numbers[node.index, "rate"], uniform))

        return Context(
            training=training,
            row_mask=row_mask,
            n_rows=n_rows,
            unit_mask=hyper["unit_mask"],
            true_width=hyper["true_width"],
            numbers=numbers,
            keep=keep,
            choice=hyper["choice"],
            switch=self.backend.switch,
        )

    def _penalty(self, weights: Sequence[Tensor], hyper: State, data: State) -> Tensor | None:
        total, place, width_in = None, 0, data["n_features"]
        for node in self.key.nodes:
            mine = weights[place : place + len(node.weights)]
            place += len(node.weights)
            width = hyper["true_width"][node.index]
            for term in penalty(node, mine, hyper["numbers"], width_in, width) if node.used else ():
                total = term if total is None else total + term
            width_in = width
        return total

    def _row_losses(self, y: Tensor, prediction: Tensor) -> Tensor:
        """`(member, batch)`."""
        from keras import ops

        target = ops.broadcast_to(ops.expand_dims(y, 0), (self.key.members, *y.shape))
        return self._loss(target, prediction)

    def _step(self, carry: State, hyper: State, data: State, rates: Tensor, last: Tensor) -> State:
        """One batch: forward, gradient, update."""
        from keras import ops

        key = self.key
        first = carry["batch"] * key.batch_size
        count = ops.minimum(data["n_train"] - first, key.batch_size)
        row_mask = ops.arange(key.batch_size, dtype="int32") < count
        n_rows = ops.cast(count, key.dtype)
        x, y = _rows(carry["x"], first, key.batch_size), _rows(carry["y"], first, key.batch_size)
        context = self._context(hyper, training=True, row_mask=row_mask, n_rows=n_rows, step=carry["step"])
        old = carry["weights"]

        def loss(trained: list[Tensor]) -> tuple[Tensor, Any]:
            weights = list(old)
            for index, weight in zip(self.trainable, trained, strict=True):
                weights[index] = weight
            prediction, new_weights = self._forward(weights, x, context)
            rows = self._row_losses(y, prediction)
            if key.weighted:
                rows = rows * ops.slice(carry["w"], [first], (key.batch_size,))
            total = ops.sum(ops.where(row_mask, rows, 0.0), axis=-1) / n_rows
            extra = self._penalty(weights, hyper, data)
            if extra is not None:
                total = total + extra
            return ops.sum(total), (total, prediction, new_weights)

        gradients, (total, prediction, weights) = self.backend.gradient(loss, [old[i] for i in self.trainable])
        sums = [total * n_rows]
        for metric in self._metrics:
            sums.append(ops.sum(ops.where(row_mask, metric.rows(y, prediction), 0.0), axis=-1))
        rate = ops.take(rates, carry["batch"], axis=0)
        if key.plateau:
            rate = rate * carry["rate_factor"]
        trained, slots, extra = self.optimizer.update(
            gradients,
            [old[i] for i in self.trainable],
            carry["slots"],
            rate,
            carry["step"],
            hyper["optimizer"],
            carry["extra"],
        )
        new = dict(carry)
        if self.optimizer.uses_ema:
            new["averages"] = self.optimizer.average(carry["averages"], trained, carry["step"])
        trained = self._constrained(trained)
        for index, weight in zip(self.trainable, trained, strict=True):
            weights[index] = weight
        if key.probes:
            new["update"] = ops.cond(
                ops.equal(carry["batch"], last),
                lambda: update_probe(self.products, self.weight_nodes, self.trainable, gradients, old, weights),
                lambda: carry["update"],
            )
        new |= {
            "weights": weights,
            "slots": slots,
            "extra": extra,
            "sums": carry["sums"] + ops.stack(sums, axis=-1),
            "step": carry["step"] + 1,
            "batch": carry["batch"] + 1,
        }
        return new

    def _constrained(self, trained: list[Tensor]) -> list[Tensor]:
        """Constraints come last, after the update and the average."""
        result = []
        for index, weight in zip(self.trainable, trained, strict=True):
            node, _ = self.weight_nodes[index]
            place = [i for i, (other, _) in enumerate(self.weight_nodes) if other is node].index(index)
            constraint = node.static[1 + place] if node.kind == "Dense" else None
            result.append(constrain(constraint, weight))
        return result

    def _train_epoch(self, carry: State, hyper: State, data: State, order: Tensor, rates: Tensor, steps: Tensor) -> Any:
        from keras import ops

        rows = order + data["n_val"]
        epoch: State = {
            "weights": carry["weights"],
            "slots": carry["slots"],
            "extra": carry["extra"],
            "step": carry["step"],
            "batch": ops.zeros((), "int32"),
            "x": ops.take(data["x"], rows, axis=0),
            "y": ops.take(data["y"], rows, axis=0),
            "sums": ops.zeros((self.key.members, len(self.metrics)), self.key.dtype),
        }
        for name in ("averages", "rate_factor"):
            if name in carry:
                epoch[name] = carry[name]
        if self.key.weighted:
            epoch["w"] = ops.take(data["w"], rows, axis=0)
        if self.key.probes:
            epoch["update"] = ops.zeros((self.key.members, len(self.products), 3), self.key.dtype)
        constants: State = {name: epoch.pop(name) for name in ("x", "y", "w", "rate_factor") if name in epoch}

        def body(state: State) -> State:
            new = self._step({**state, **constants}, hyper, data, rates, steps - 1)
            return {name: new[name] for name in state}

        return _while(lambda state: state["batch"] < steps, body, epoch)

    def _evaluate(self, weights: Sequence[Tensor], hyper: State, data: State, n_rows: Tensor, buffer: Tensor) -> State:
        """Predictions on the first `n_rows` rows; loss, metrics and probes on the validation rows among them."""
        from keras import ops

        key = self.key
        block = key.block_rows
        state: State = {
            "block": ops.zeros((), "int32"),
            "predictions": buffer,
            "sums": ops.zeros((key.members, len(self.metrics)), key.dtype),
        }
        if key.probes:
            state["probes"] = [ops.zeros((key.members, 3, node.width), key.dtype) for node in self.hidden]

        def body(state: State) -> State:
            first = state["block"] * block
            mask = first + ops.arange(block, dtype="int32") < data["n_val"]
            x, y = _rows(data["x"], first, block), _rows(data["y"], first, block)
            context = self._context(
                hyper, training=False, row_mask=mask, n_rows=ops.cast(block, key.dtype), step=ops.zeros((), "int32")
            )
            outputs: dict[int, Tensor] | None = {} if key.probes else None
            prediction, _ = self._forward(weights, x, context, outputs)
            rows = self._row_losses(y, prediction)
            if key.weighted:
                rows = rows * ops.slice(data["w_val"], [first], (block,))
            sums = [ops.sum(ops.where(mask, rows, 0.0), axis=-1)]
            for metric in self._metrics:
                sums.append(ops.sum(ops.where(mask, metric.rows(y, prediction), 0.0), axis=-1))
            zero = ops.zeros((), "int32")
            new: State = {
                "block": state["block"] + 1,
                "predictions": ops.slice_update(state["predictions"], [zero, first, zero], prediction),
                "sums": state["sums"] + ops.stack(sums, axis=-1),
            }
            if outputs is not None:
                new["probes"] = [
                    activation_probe(node, outputs[node.index], mask, hyper, old)
                    for node, old in zip(self.hidden, state["probes"], strict=True)
                ]
            return new

        return _while(lambda state: state["block"] * block < n_rows, body, state)

    def _finish_metrics(self, sums: Tensor, n_rows: Tensor, penalty: Tensor | None) -> Tensor:
        """Means over rows; the loss with its penalty, a root where the metric has one."""
        from keras import ops

        means = sums / ops.cast(n_rows, self.key.dtype)
        columns = [means[:, 0] if penalty is None else means[:, 0] + penalty]
        columns += [
            ops.sqrt(means[:, i + 1]) if metric.root else means[:, i + 1] for i, metric in enumerate(self._metrics)
        ]
        return ops.stack(columns, axis=-1)

    # The whole call ---------------------------------------------------------------------------------------------

    def _run(self, state: State, hyper: State, data: State, plan: State) -> tuple[State, State]:
        """Runs `plan["epochs"]` epochs, then, if `plan["final"]`, evaluates all rows at the kept weights.

        Args:
            state: What `initial_state` gives, or a call before.
            hyper: The members' numbers, masks, seeds and limits.
            data: `x (all_rows, features)`: validation rows first, then training rows; `y`, `w`, `w_val`; `n_val`,
                `n_train` int32 scalars.
            plan: `order (chunk, train_rows)` int32, `rates (chunk, steps, member)`, `first_epoch`, `epochs`, `final`.

        Returns:
            The state, and `history (chunk, member, column)` (see `columns`) and `predictions (member, all_rows,
            output)`.
        """
        from keras import ops

        key = self.key
        steps = (data["n_train"] + key.batch_size - 1) // key.batch_size
        carry = dict(state)
        carry |= {
            "epoch": ops.zeros((), "int32"),
            "finished": ops.zeros((), "bool"),
            "history": ops.zeros((key.chunk + 1, key.members, len(self.columns)), key.dtype),
            "predictions": ops.zeros((key.members, key.all_rows, key.outputs), key.dtype),
        }

        def more(carry: State) -> Tensor:
            left = ops.logical_or(carry["epoch"] < plan["epochs"], plan["final"])
            return ops.logical_and(ops.logical_not(carry["finished"]), left)

        def body(carry: State) -> State:
            done = carry["epoch"] >= plan["epochs"]
            if key.stopping:
                done = ops.logical_or(done, ops.logical_not(ops.any(carry["active"])))
            return self._epoch(carry, hyper, data, plan, steps, done)

        end = _while(more, body, carry)
        return {name: end[name] for name in state}, {name: end[name] for name in ("history", "predictions")}

    def _epoch(self, carry: State, hyper: State, data: State, plan: State, steps: Tensor, final: Tensor) -> State:
        """One epoch; or, when `final`, no training but an evaluation of all rows at the kept weights."""
        from keras import ops

        key = self.key
        here = carry["epoch"]
        order = ops.take(plan["order"], ops.minimum(here, key.chunk - 1), axis=0)
        rates = ops.take(plan["rates"], ops.minimum(here, key.chunk - 1), axis=0)
        trained = self._train_epoch(carry, hyper, data, order, rates, ops.where(final, 0, steps))
        weights = trained["weights"]
        if key.stopping:
            evaluated = [ops.where(final, kept, w) for kept, w in zip(carry["kept"], weights, strict=True)]
        elif self.optimizer.uses_ema:
            evaluated = list(weights)
            for index, average in zip(self.trainable, trained["averages"], strict=True):
                evaluated[index] = ops.where(final, average, weights[index])
        else:
            evaluated = weights
        n_rows = ops.where(final, data["n_val"] + data["n_train"], data["n_val"])
        seen = self._evaluate(evaluated, hyper, data, n_rows, carry["predictions"])
        penalty = self._penalty(weights, hyper, data)
        train = self._finish_metrics(trained["sums"], data["n_train"], None)  # a batch's loss holds the penalty already
        validation = self._finish_metrics(seen["sums"], data["n_val"], penalty)
        columns = [train, validation]
        if key.plateau:
            columns.append(carry["rate_factor"][:, None])
        if key.probes:
            n_val = ops.cast(data["n_val"], key.dtype)
            columns += [
                activation_summary(node, sums, n_val, hyper)
                for node, sums in zip(self.hidden, seen["probes"], strict=True)
            ]
            columns.append(ops.reshape(trained["update"], (key.members, -1)))
        zero = ops.zeros((), "int32")
        row = ops.concatenate(columns, axis=-1)[None]
        new = dict(carry)
        new |= {name: trained[name] for name in ("weights", "slots", "extra", "step")}
        if "averages" in carry:
            new["averages"] = trained["averages"]
        new |= {
            "history": ops.slice_update(carry["history"], [here, zero, zero], row),
            "predictions": seen["predictions"],
            "epoch": here + 1,
            "finished": final,
        }
        epoch = plan["first_epoch"] + here
        if key.stopping:
            candidates = kept_at_the_end(weights, trained.get("averages"), self.trainable, hyper["restores"])
            new |= early_stopping(carry, hyper, epoch, train, validation, candidates, final)
        if key.plateau:
            new |= reduce_on_plateau(carry, hyper, epoch, validation[:, 0], final)
        return new


def _rows(array: Tensor, first: Tensor, count: int) -> Tensor:
    """`array[first : first + count]`."""
    from keras import ops

    # A plain 0 would be an int64 in JAX's 64-bit mode, and all starts must be of one type.
    zero = ops.zeros((), "int32")
    return ops.slice(array, [first] + [zero] * (len(array.shape) - 1), (count, *array.shape[1:]))


def _while(condition: Callable[[State], Tensor], body: Callable[[State], State], state: State) -> State:
    """`keras.ops.while_loop` over one nested state."""
    from keras import ops

    (end,) = ops.while_loop(lambda s: condition(s), lambda s: (body(s),), (state,))
    return end  # type: ignore[no-any-return]
