"""A program: train and evaluate one tile of stacked members for some epochs, as one compiled function.

Everything here is traced once per shape. State goes in and comes out as nested tensors whose leading axis is the
member. The members of a tile belong to the same fold and repeat, so they share its rows, and they have the same
activations, so that a branch is taken once for all of them. One call runs a chunk of epochs and, if asked, ends with a
pass over all rows at the weights that were kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unitune.engine.callbacks import early_stopping, kept_at_the_end, reduce_on_plateau
from unitune.engine.draws import Draws
from unitune.engine.lift.activation import keeps_zero
from unitune.engine.lift.base import Context, ProgramNode, Tensor, lift_of
from unitune.engine.lift.dense import is_table_by_row
from unitune.engine.lift.optimizer import shaped
from unitune.engine.lift.penalty import activity, constrain, penalty
from unitune.engine.lift.several_optimizers import optimizer_of
from unitune.engine.probes import (
    ACTIVATION_PROBES,
    UPDATE_PROBES,
    activation_probe,
    activation_summary,
    update_probe,
)
from unitune.engine.program_key import Backend, ProgramKey, State
from unitune.engine.scores import Scores
from unitune.engine.stretch import SKIP
from unitune.engine.tensors import as_computed, as_wide, rows_at, while_loop


class Program:
    """The compiled function of a key. Thread-safe: it holds no state of its own."""

    def __init__(self, key: ProgramKey, backend: Backend) -> None:
        self.key = key
        self.backend = backend
        owners = [key.nodes[index] for index in key.weight_order]
        self.weight_nodes = [(node, weight) for node in owners for weight in node.weights]
        self.first_weight: dict[int, int] = {}
        for i, (node, _) in enumerate(self.weight_nodes):
            self.first_weight.setdefault(node.index, i)
        self.trainable = [i for i, (_, weight) in enumerate(self.weight_nodes) if weight.trainable]
        self.optimizer = optimizer_of(key.optimizers, key.dtype)
        squares = any(one.class_name != "SGD" for one in key.optimizers)
        squares = squares and not self.optimizer.accumulates  # whose sums are whole tables
        self._by_row = {i for i in self.trainable if squares and is_table_by_row(self.weight_nodes[i][0])}
        self.shapes = [(key.members, *node.weight_shape(weight)) for node, weight in self.weight_nodes]
        activations = [node for node in key.nodes if node.kind == "Activation"]
        come_out = {output.node for output in key.outputs}
        self.hidden = [node for node in activations if node.index not in come_out]
        self.products = [one for one in owners if one.weights[0].name == "kernel" and one.weights[0].trainable]
        trainable_shapes = [self.shapes[i] for i in self.trainable]
        self.slot_values = self.optimizer.slot_values(trainable_shapes)
        self.slot_shapes = [trainable_shapes[i] for i in self.optimizer.slot_owner(trainable_shapes)]
        self._scores = Scores(key)
        self.metrics = self._scores.names
        self.columns = self._columns()
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
        self, weights: Sequence[Tensor], inputs: Sequence[Tensor], context: Context
    ) -> tuple[dict[int, Tensor], list[Tensor]]:
        """The nodes' outputs `(member, batch, ..., width)` and the weights as the pass leaves them."""
        from keras import ops

        weights = list(weights)
        values: dict[int, Tensor] = {
            -1 - k: ops.broadcast_to(ops.expand_dims(x, 0), (self.key.members, *x.shape)) for k, x in enumerate(inputs)
        }
        for node in self.key.nodes:
            mine = self._places(node)
            taken = [values[i] for i in node.inputs]
            if node.kind != "weightless":
                # A layer takes floats in the type that it computes in; Keras's own layers do that by themselves.
                taken = [as_computed(one, self.key.dtype) for one in taken]
            x = taken[0] if len(taken) == 1 else taken
            y, weights[mine] = lift_of(node.kind).apply(node, weights[mine], x, context)
            if SKIP in node.used:
                skips = shaped(context.numbers[node.index, SKIP], y) > 0
                y = ops.where(skips, as_wide(taken[0], node.width), y)
            values[node.index] = y
        return values, weights

    def _places(self, node: ProgramNode) -> slice:
        """Where a node's weights lie among all weights."""
        first = self.first_weight.get(node.owner if node.owner >= 0 else node.index, 0)
        return slice(first, first + len(node.weights))

    def _context(
        self, hyper: State, *, training: bool, row_mask: Tensor, n_rows: Tensor, step: Tensor, calls: Tensor
    ) -> Context:
        draws = Draws(key=self.key, backend=self.backend, hyper=hyper, rows=int(row_mask.shape[0]), step=step)
        return Context(
            training=training,
            row_mask=row_mask,
            n_rows=n_rows,
            unit_mask=hyper["unit_mask"],
            true_width=hyper["true_width"],
            numbers=hyper["numbers"],
            calls=calls,
            keep=draws.keep,
            draw=draws.draw,
            choice=hyper["choice"],
            switch=self.backend.switch,
            scan=self.backend.scan,
        )

    def _penalty(self, weights: Sequence[Tensor], hyper: State, data: State) -> Tensor | None:
        total = None
        for node in self.key.nodes:
            if not node.weights or node.owner >= 0 or not node.used:
                continue
            source = node.inputs[0]
            width_in = hyper["true_width"][source] if source >= 0 else data["n_features"][-1 - source]
            width = hyper["true_width"][node.index]
            real = hyper["real"].get(node.index)
            for term in penalty(node, weights[self._places(node)], hyper["numbers"], width_in, width, real):
                total = term if total is None else total + term
        return total

    def _activity(self, values: dict[int, Tensor], context: Context) -> list[Tensor]:
        """What outputs of layers add to the loss, each `(member, batch)`."""
        return [term for node in self.key.nodes for term in activity(node, values[node.index], context)]

    def _outputs(self, values: dict[int, Tensor]) -> list[Tensor]:
        """For each output `(member, batch, ..., width)`."""
        return [values[output.node] for output in self.key.outputs]

    def _step(self, carry: State, hyper: State, data: State, rates: Tensor, last: Tensor) -> State:
        """One batch: forward, gradient, update."""
        from keras import ops

        key = self.key
        first = carry["batch"] * key.batch_size
        count = ops.minimum(data["n_train"] - first, key.batch_size)
        row_mask = ops.arange(key.batch_size, dtype="int32") < count
        n_rows = ops.cast(count, key.dtype)
        x = [rows_at(one, first, key.batch_size) for one in carry["x"]]
        y = [rows_at(one, first, key.batch_size) for one in carry["y"]]
        row_weights = ops.slice(carry["w"], [first], (key.batch_size,)) if key.weighted else None
        steps, held_out = ((data[name] + key.batch_size - 1) // key.batch_size for name in ("n_train", "n_val"))
        calls = carry["step"] + carry["step"] // steps * held_out
        context = self._context(hyper, training=True, row_mask=row_mask, n_rows=n_rows, step=carry["step"], calls=calls)
        old = carry["weights"]

        def loss(trained: list[Tensor]) -> tuple[Tensor, Any]:
            weights = list(old)
            for index, weight in zip(self.trainable, trained, strict=True):
                weights[index] = weight
            values, new_weights = self._forward(weights, x, context)
            rows = self._scores.row_losses(y, values, row_weights, row_mask)
            losses = self._scores.of_rows(rows, row_mask, n_rows)
            total = self._scores.total(losses, hyper)
            for term in self._activity(values, context):
                total = total + ops.sum(ops.where(row_mask, term, 0.0), axis=-1) / n_rows
            extra = self._penalty(weights, hyper, data)
            if extra is not None:
                total = total + extra
            return ops.sum(total), (total, losses, self._scores.looked_at(values), new_weights)

        # The tables of all members in one, so that its gradient is a list of rows.
        watched = [ops.reshape(old[i], (-1, old[i].shape[-1])) if i in self._by_row else old[i] for i in self.trainable]
        gradients, (total, losses, values, weights) = self.backend.gradient(loss, watched)
        sums = [
            (total * n_rows)[:, None],
            *self._scores.of_batch(losses, n_rows),
            *self._scores.metric_sums(y, values, row_mask, n_rows),
        ]
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
            "sums": carry["sums"] + ops.concatenate(sums, axis=-1),
            "step": carry["step"] + 1,
            "batch": carry["batch"] + 1,
        }
        return new

    def _constrained(self, trained: list[Tensor]) -> list[Tensor]:
        """Constraints come last, after the update and the average."""
        return [
            constrain(self.weight_nodes[index][1].constraint, weight)
            for index, weight in zip(self.trainable, trained, strict=True)
        ]

    def _train_epoch(self, carry: State, hyper: State, data: State, order: Tensor, rates: Tensor, steps: Tensor) -> Any:
        from keras import ops

        rows = order + data["n_val"]
        epoch: State = {
            "weights": carry["weights"],
            "slots": carry["slots"],
            "extra": carry["extra"],
            "step": carry["step"],
            "batch": ops.zeros((), "int32"),
            "x": [ops.take(x, rows, axis=0) for x in data["x"]],
            "y": [ops.take(y, rows, axis=0) for y in data["y"]],
            "sums": ops.zeros((self.key.members, self._scores.n_sums), self.key.dtype),
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

        return while_loop(lambda state: state["batch"] < steps, body, epoch)

    def _evaluate(self, weights: Sequence[Tensor], hyper: State, data: State, n_rows: Tensor, buffer: Tensor) -> State:
        """Predictions on the first `n_rows` rows; loss, metrics and probes on the validation rows among them."""
        from keras import ops

        key = self.key
        block = key.block_rows
        state: State = {
            "block": ops.zeros((), "int32"),
            "predictions": buffer,
            "sums": ops.zeros((key.members, self._scores.n_sums), key.dtype),
        }
        if key.probes:
            state["probes"] = [ops.zeros((key.members, 3, node.width), key.dtype) for node in self.hidden]

        def body(state: State) -> State:
            first = state["block"] * block
            mask = first + ops.arange(block, dtype="int32") < data["n_val"]
            x, y = ([rows_at(one, first, block) for one in data[name]] for name in ("x", "y"))
            row_weights = ops.slice(data["w_val"], [first], (block,)) if key.weighted else None
            none = ops.zeros((), "int32")
            context = self._context(
                hyper, training=False, row_mask=mask, n_rows=ops.cast(block, key.dtype), step=none, calls=none
            )
            values, _ = self._forward(weights, x, context)
            predictions = self._outputs(values)
            rows = self._scores.row_losses(y, values, row_weights, mask)
            rows = self._scores.weighed(rows, first, data["n_val"])
            rows = [ops.where(mask, one, 0.0) for one in rows]
            total = self._scores.total([ops.sum(one, axis=-1) for one in rows], hyper)
            for term in self._activity(values, context):
                total = total + ops.sum(ops.where(mask, term, 0.0), axis=-1)
            sums = [
                total[:, None],
                *self._scores.of_block(rows, first, data["n_val"]),
                *self._scores.metric_sums(y, values, mask, self._scores.batch_rows(first, block, data["n_val"])),
            ]
            flat = [ops.reshape(one, (key.members, block, -1)) for one in predictions]
            prediction = flat[0] if len(flat) == 1 else ops.concatenate(flat, axis=-1)
            zero = ops.zeros((), "int32")
            new: State = {
                "block": state["block"] + 1,
                "predictions": ops.slice_update(state["predictions"], [zero, first, zero], prediction),
                "sums": state["sums"] + ops.concatenate(sums, axis=-1),
            }
            if key.probes:
                new["probes"] = [
                    activation_probe(node, values[node.index], mask, hyper, old)
                    for node, old in zip(self.hidden, state["probes"], strict=True)
                ]
            return new

        return while_loop(lambda state: state["block"] * block < n_rows, body, state)

    # The whole call ---------------------------------------------------------------------------------------------

    def _run(self, state: State, hyper: State, data: State, plan: State) -> tuple[State, State]:
        """Runs `plan["epochs"]` epochs, then, if `plan["final"]`, evaluates all rows at the kept weights.

        Args:
            state: What `initial_state` gives, or a call before.
            hyper: The members' numbers, masks, seeds and limits.
            data: `x`, for each input `(all_rows, ...)`: validation rows first, then training rows; `y`, likewise for
                each output; `w`, `w_val`; `n_val`, `n_train` int32 scalars.
            plan: `order (chunk, train_rows)` int32, `rates (chunk, steps, member)`, `first_epoch`, `epochs`, `final`.

        Returns:
            The state, and `history (chunk, member, column)` (see `columns`) and `predictions (member, all_rows,
            output)`, the columns of all outputs side by side.
        """
        from keras import ops

        key = self.key
        steps = (data["n_train"] + key.batch_size - 1) // key.batch_size
        carry = dict(state)
        carry |= {
            "epoch": ops.zeros((), "int32"),
            "finished": ops.zeros((), "bool"),
            "history": ops.zeros((key.chunk + 1, key.members, len(self.columns)), key.dtype),
            "predictions": ops.zeros((key.members, key.all_rows, self._scores.n_columns), key.dtype),
        }

        def more(carry: State) -> Tensor:
            left = ops.logical_or(carry["epoch"] < plan["epochs"], plan["final"])
            return ops.logical_and(ops.logical_not(carry["finished"]), left)

        def body(carry: State) -> State:
            done = carry["epoch"] >= plan["epochs"]
            if key.stopping:
                done = ops.logical_or(done, ops.logical_not(ops.any(carry["active"])))
            return self._epoch(carry, hyper, data, plan, steps, done)

        end = while_loop(more, body, carry)
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
        train = self._scores.finish(trained["sums"], data["n_train"], None)  # a batch's loss holds the penalty already
        validation = self._scores.finish(seen["sums"], data["n_val"], penalty)
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
            new |= reduce_on_plateau(carry, hyper, epoch, train, validation, final)
        return new
