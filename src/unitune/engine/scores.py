"""What a program computes of its outputs: their losses and metrics, added up over rows and finished by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from unitune.engine.lift.base import Tensor, with_logits_of
from unitune.engine.losses import loss_function
from unitune.engine.metrics import RowMetric, metric_functions
from unitune.engine.program_key import ProgramKey, State


class Scores:
    """The losses and metrics of a program's outputs.

    Attributes:
        names: Of an epoch's values: the loss, of several outputs each one's own, then the metrics.
        n_sums: How many numbers are added up for them.
        n_columns: How many numbers the network predicts for a row, over all outputs.
    """

    def __init__(self, key: ProgramKey) -> None:
        self._key = key
        self._several = len(key.outputs) > 1
        # Keras weighs a batch's loss of one of several outputs by its rows, but where a graph of TensorFlow does not
        # know how many there are: there all batches weigh the same. It is the other way for no other value.
        self._by_batch = key.backend == "tensorflow"
        nodes = [key.nodes[output.node] for output in key.outputs]
        self._positions = [node.positions for node in nodes]
        widths = [node.width for node in nodes]
        self.n_columns = sum(node.positions * node.width for node in nodes)
        self._losses = [loss_function(output.loss) for output in key.outputs]
        self._sums = [dict(output.loss[1]).get("reduction") == "sum" for output in key.outputs]
        self._metrics = [
            (place, metric)
            for place, (output, width) in enumerate(zip(key.outputs, widths, strict=True))
            for metric in metric_functions(output.metrics, width)
        ]
        own = [f"{output.name}_loss" for output in key.outputs] if self._several else []
        metrics = [
            f"{output.name}_{metric[0]}" if output.name else str(metric[0])
            for output in key.outputs
            for metric in output.metrics
        ]
        self.names = ("loss", *own, *metrics)
        self.n_sums = 1 + len(own) + sum(self._width(place, metric) for place, metric in self._metrics)

    def row_losses(
        self,
        y: Sequence[Tensor],
        values: Mapping[int, Tensor],
        weights: Tensor | None,
        row_mask: Tensor,
    ) -> list[Tensor]:
        """For each output `(member, batch)`; `weights` are those of the rows, `row_mask` says which are real."""
        from keras import ops

        predictions = [values[output.node] for output in self._key.outputs]

        rows = []
        for place, loss in enumerate(self._losses):
            target, prediction = self._by_position(place, y, predictions)
            every = ops.broadcast_to(ops.expand_dims(target, 0), (self._key.members, *target.shape))
            one = loss(every, prediction)
            mask = self._key.outputs[place].mask
            if self._positions[place] > 1 or mask is not None:
                one = ops.reshape(one, (one.shape[0], -1, self._positions[place]))
                one = ops.mean(one, axis=-1) if mask is None else self._of_seen(one, values[mask], row_mask)
            rows.append(one if weights is None else one * weights)
        return rows

    def _of_seen(self, losses: Tensor, mask: Tensor, row_mask: Tensor) -> Tensor:
        """Sums of the losses `(member, batch, position)` that a mask leaves, such that a mean over rows is Keras's.

        Keras divides by how many there are in the whole batch, so that a row counts by how many of its own are left.
        """
        from keras import ops

        members, size = losses.shape[0], self._key.batch_size
        seen = ops.logical_and(ops.reshape(mask, losses.shape), row_mask[:, None])
        seen = ops.cast(seen, losses.dtype)
        left = ops.sum(ops.reshape(seen, (members, -1, size * losses.shape[-1])), axis=-1)
        rows = ops.sum(ops.reshape(ops.cast(row_mask, losses.dtype), (-1, size)), axis=-1)
        share = ops.where(left > 0, rows / ops.maximum(left, 1.0), 0.0)
        return ops.sum(losses * seen, axis=-1) * ops.repeat(share, size, axis=1)

    def _by_position(self, place: int, y: Sequence[Tensor], predictions: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Target and prediction of an output; where it has several positions (steps, pixels), each as a row."""
        from keras import ops

        target, prediction, n = y[place], predictions[place], self._positions[place]
        if n == 1:
            return target, prediction
        members, batch, width = prediction.shape[0], target.shape[0], prediction.shape[-1]
        numbers = str(self._key.outputs[place].loss[0]).startswith("sparse_")
        shape = (batch * n,) if numbers else (batch * n, math.prod(target.shape[1:]) // n)

        def change(tensor: Tensor) -> Tensor:
            return ops.reshape(tensor, (members, batch * n, width))

        return ops.reshape(target, shape), with_logits_of(prediction, change)

    def of_rows(self, rows: Sequence[Tensor], row_mask: Tensor, n_rows: Tensor) -> list[Tensor]:
        """From the losses of a batch's rows to the batch's, `(member,)` for each output: the mean, or the sum."""
        from keras import ops

        totals = [ops.sum(ops.where(row_mask, one, 0.0), axis=-1) for one in rows]
        return [one if sums else one / n_rows for one, sums in zip(totals, self._sums, strict=True)]

    def total(self, losses: Sequence[Tensor], hyper: State) -> Tensor:
        """The sum of the outputs' losses `(member,)`, each times its weight."""
        if not self._key.weighs_losses:
            return losses[0]
        return sum(loss * hyper["loss_weights"][:, place] for place, loss in enumerate(losses))

    def of_batch(self, losses: Sequence[Tensor], n_rows: Tensor) -> list[Tensor]:
        """What a batch of training, with these mean losses, adds to the sums of several outputs' losses."""
        if not self._several:
            return []
        return [(loss if self._by_batch else loss * n_rows)[:, None] for loss in losses]

    def weighed(self, rows: Sequence[Tensor], first: Tensor, n_rows: Tensor) -> list[Tensor]:
        """The losses of a block of validation rows such that their mean over all is that of the batches' losses.

        `fit` weighs a batch by its rows, and so it does where the loss of a batch is a sum.
        """
        if not any(self._sums):
            return list(rows)
        shares = self.batch_rows(first, rows[0].shape[-1], n_rows)
        return [row * shares if sums else row for row, sums in zip(rows, self._sums, strict=True)]

    def batch_rows(self, first: Tensor, block: int, n_rows: Tensor) -> Tensor:
        """`(block,)`: how many rows the validation batch of each row has."""
        from keras import ops

        size = self._key.batch_size
        batch = (first + ops.arange(block, dtype="int32")) // size
        return ops.cast(ops.minimum(n_rows - batch * size, size), self._key.dtype)

    def of_block(self, rows: Sequence[Tensor], first: Tensor, n_rows: Tensor) -> list[Tensor]:
        """What a block of validation rows adds to the same sums, from the losses of its rows as `weighed` gives them.

        Args:
            rows: For each output `(member, block)`, 0 where a row does not count.
            first: The number of the first row.
            n_rows: How many validation rows there are.
        """
        from keras import ops

        if not self._several:
            return []
        if self._by_batch:
            shares = self.batch_rows(first, rows[0].shape[-1], n_rows)
            rows = [row / ops.maximum(shares, 1.0) for row in rows]  # a row that does not count may have none
        return [ops.sum(row, axis=-1)[:, None] for row in rows]

    def looked_at(self, values: Mapping[int, Tensor]) -> dict[int, Tensor]:
        """Those outputs of nodes that metrics need."""
        return {i: values[i] for output in self._key.outputs for i in (output.node, output.mask) if i is not None}

    def _masked(self, place: int, metric: RowMetric) -> bool:
        return self._key.outputs[place].mask is not None and metric.minds_mask

    def _width(self, place: int, metric: RowMetric) -> int:
        """How many numbers are added up for a metric; of a masked one also how much counts."""
        return 2 if self._masked(place, metric) else metric.width

    def metric_sums(
        self, y: Sequence[Tensor], values: Mapping[int, Tensor], mask: Tensor, batch_rows: Tensor
    ) -> list[Tensor]:
        """For each metric `(member, width)`, over the rows that count; `batch_rows` are those of each row's batch."""
        from keras import ops

        predictions = [values[output.node] for output in self._key.outputs]
        sums = []
        for place, metric in self._metrics:
            rows, n = metric.rows(*self._by_position(place, y, predictions)), self._positions[place]
            seen = self._key.outputs[place].mask
            if seen is not None and metric.minds_mask:
                rows = ops.reshape(rows, (rows.shape[0], -1, n))
                seen = ops.cast(ops.reshape(values[seen], rows.shape), rows.dtype)
                rows = ops.stack([ops.sum(rows * seen, axis=-1), ops.sum(seen, axis=-1)], axis=-1)
            elif n > 1:
                rows = ops.reshape(rows, (rows.shape[0], -1, n, rows.shape[-1]))
                rows = ops.mean(rows, axis=2) if metric.is_mean else ops.sum(rows, axis=2)
            if metric.by_batch:
                rows = rows / ops.reshape(ops.maximum(batch_rows, 1.0), (-1, 1))
            sums.append(ops.sum(ops.where(mask[:, None], rows, 0.0), axis=1))
        return sums

    def finish(self, sums: Tensor, n_rows: Tensor, penalty: Tensor | None) -> Tensor:
        """The mean losses over the rows, the first with its penalty, and what the metrics make of their sums."""
        from keras import ops

        key = self._key
        count = ops.cast(n_rows, key.dtype)
        mean = sums[:, 0] / count
        columns, first = [mean if penalty is None else mean + penalty], 1
        batches = ops.cast((n_rows + key.batch_size - 1) // key.batch_size, key.dtype)
        if self._several:
            columns += [sums[:, first + i] / (batches if self._by_batch else count) for i in range(len(key.outputs))]
            first += len(key.outputs)
        for place, metric in self._metrics:
            width = self._width(place, metric)
            own = sums[:, first : first + width]
            if self._masked(place, metric):
                columns.append(ops.divide_no_nan(own[:, 0], own[:, 1]))
            else:
                columns.append(metric.finish(own, batches if metric.by_batch else count))
            first += width
        return ops.stack(columns, axis=-1)
