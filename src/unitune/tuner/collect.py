"""Outcomes of members become finished trials, many at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unitune.data.arrays import Split
from unitune.engine.contract import Outcome
from unitune.models.metrics import ATTAINABLE, METRICS, evaluate
from unitune.records import Array, Score, Task, Trial
from unitune.result import probabilities
from unitune.stats import summarise
from unitune.store import MemberBlock
from unitune.store.predictions import BYTES_IN_MEMORY, n_bytes, trimmed

CLASSES_WITH_RECALL = 50
SPLITS = ("train", "validation")
FASTEST_FIRST = ("fused", "vmapped", "solo")


@dataclass(kw_only=True, eq=False)
class Batch:
    """Trials in training: how far they are, and the scores of their members so far.

    Attributes:
        numbers: `(trial,)`, their numbers, rising.
        configurations: One for each trial.
        n_parameters: `(trial,)`.
        logits: `(trial,)`, whether predictions are logits.
        scores: From split and metric to `(trial, member)`.
        missing: `(trial,)`, members that are still to come.
        failures: From a trial's place to the place and the reason of its first failed member, and whether that was
            stopped instead.
    """

    numbers: Array
    configurations: Sequence[Mapping[str, Any]]
    n_parameters: Sequence[int]
    logits: Array
    scores: dict[tuple[str, str], Array]
    missing: Array
    elapsed_s: Array
    failures: dict[int, tuple[int, str, bool]] = field(default_factory=dict)
    engines: dict[int, tuple[str, str]] = field(default_factory=dict)


class Collector:
    """Scores outcomes and puts trials together.

    Args:
        splits: The rows of each fold and repeat.
        targets: For each split what the training and the validation rows are scored by, where that is not what the
            network is given.
        n_classes: How many classes there are; 0 for numbers.
        train_weights: For each split the weights of its training rows without class weights, or None: the training
            score is to be comparable with the validation score.
        task: The task.
        metrics: Names of the metrics, the objective first.
        n_folds, repeats: Each trial has `n_folds * repeats` members.
        validation_ratio: For the intervals.
        first_repeat: Repeats before this one were collected elsewhere.
    """

    def __init__(
        self,
        *,
        splits: Sequence[Split],
        targets: Sequence[tuple[Array, Array]] | None = None,
        n_classes: int = 0,
        train_weights: Sequence[Array | None],
        task: Task,
        metrics: Sequence[str],
        n_folds: int,
        repeats: int,
        validation_ratio: float,
        first_repeat: int = 0,
    ) -> None:
        self._first_repeat = first_repeat
        self._task = task
        self._splits = splits
        self._train_weights = train_weights
        self._metrics = tuple(metrics)
        self._n_folds = n_folds
        self._n_members = n_folds * repeats
        self._validation_ratio = validation_ratio
        if targets is None:
            targets = [(in_users_units(s, s.y_train), in_users_units(s, s.y_val)) for s in splits]
        self._targets = targets
        self._n_classes = n_classes
        self.blocks: list[MemberBlock] = []
        self._bytes = 0

    def start(
        self,
        numbers: Sequence[int],
        configurations: Sequence[Mapping[str, Any]],
        n_parameters: Sequence[int],
        logits: Sequence[bool],
    ) -> Batch:
        """A batch for trials that are about to be trained; `numbers` rise."""
        shape = (len(configurations), self._n_members)
        return Batch(
            numbers=np.array(numbers),
            configurations=configurations,
            n_parameters=n_parameters,
            logits=np.array(logits, dtype=bool),
            scores={(split, metric): np.full(shape, np.nan) for split in SPLITS for metric in self._metrics},
            missing=np.full(shape[0], self._n_members),
            elapsed_s=np.zeros(shape),
        )

    def score(self, batch: Batch, outcome: Outcome) -> MemberBlock:
        """An outcome's members with their scores, as a block that can be recorded and entered."""
        members = [job.member for job in outcome.jobs]
        numbers = np.array([member.trial for member in members])
        logits = batch.logits[np.searchsorted(batch.numbers, numbers)]
        failures = list(outcome.failures)
        scores, predictions = self._evaluate(outcome, failures, logits)
        recall = self._recall(outcome, logits)
        return MemberBlock(
            trial=numbers,
            fold=np.array([member.fold for member in members]),
            repeat=np.array([member.repeat for member in members]),
            metrics=outcome.metrics,
            train=np.asarray(outcome.train),
            validation=np.asarray(outcome.validation),
            learning_rate=np.asarray(outcome.learning_rate),
            n_epochs=np.asarray(outcome.n_epochs),
            best_epoch=np.asarray(outcome.best_epoch),
            elapsed_s=np.asarray(outcome.elapsed_s),
            failure=failures,
            engine=outcome.engine,
            engine_reason=outcome.engine_reason,
            scores={f"{split}_{metric}": values for (split, metric), values in scores.items()} | recall,
            # Half the memory, and more digits than a measurement needs.
            probes={name: np.asarray(values, dtype=np.float32) for name, values in outcome.probes.items()},
            predictions=predictions,
        )

    @property
    def objective(self) -> str:
        """The metric that ranks."""
        return self._metrics[0]

    @property
    def n_members(self) -> int:
        """Members of a trial."""
        return self._n_members

    @property
    def n_folds(self) -> int:
        """Folds of a repeat."""
        return self._n_folds

    def stop(self, batch: Batch, indices: Array, reasons: Sequence[str], n_trained: int) -> list[Trial]:
        """Ends trials of which only the first members were trained.

        Args:
            batch: The trials.
            indices: Which of them, in order.
            reasons: Of each, a clause.
            n_trained: How many of their members were trained.
        """
        for index, reason in zip(indices.tolist(), reasons, strict=True):
            batch.failures.setdefault(index, (n_trained, f"stopped early {reason}", True))
        batch.missing[indices] = 0
        return self._finish(batch, indices, n_trained)

    def enter(self, batch: Batch, block: MemberBlock) -> list[Trial]:
        """Adds members of a batch that were scored, here or in an earlier session; returns the trials they complete."""
        trial = np.searchsorted(batch.numbers, block.trial)
        place = (block.repeat - self._first_repeat) * self._n_folds + block.fold
        for split, metric in batch.scores:
            batch.scores[split, metric][trial, place] = block.scores[f"{split}_{metric}"]
        batch.elapsed_s[trial, place] = block.elapsed_s
        np.subtract.at(batch.missing, trial, 1)
        for position, index in enumerate(trial.tolist()):
            if block.failure[position]:
                reason = block.failure[position]
                if not block.stopped:
                    reason = self._say(reason, int(block.fold[position]), int(block.repeat[position]))
                # The first by place, not by time: which tile ends first is chance.
                this = (int(place[position]), reason, block.stopped)
                batch.failures[index] = min(this, batch.failures.get(index, this))
            # A trial of which any member went a slow way is reported as such.
            slowest = batch.engines.get(index)
            if slowest is None or FASTEST_FIRST.index(block.engine) > FASTEST_FIRST.index(slowest[0]):
                batch.engines[index] = (block.engine, block.engine_reason)
        self.blocks.append(block)
        self._bytes += 0 if block.predictions is None else block.predictions.nbytes
        if self._bytes > BYTES_IN_MEMORY:
            self.blocks[:] = trimmed(self.blocks, self._metrics[0], METRICS[self._metrics[0]].direction)
            self._bytes = n_bytes(self.blocks)
        touched = np.unique(trial)
        return self._finish(batch, touched[batch.missing[touched] == 0])

    def _evaluate(
        self, outcome: Outcome, failures: list[str], logits: Array
    ) -> tuple[dict[tuple[str, str], Array], Array]:
        """Each metric of each member on both splits, and the predictions of the validation rows.

        Writes a reason to `failures` where predictions are not finite.
        """
        index = outcome.jobs[0].split
        split = self._splits[index]
        y_train, y_val = self._targets[index]
        weights = (self._train_weights[index], split.w_val)
        scores: dict[tuple[str, str], Array] = {}
        all_predictions = (outcome.train_predictions, outcome.validation_predictions)
        for name, y, weight, raw in zip(SPLITS, (y_train, y_val), weights, all_predictions, strict=True):
            predictions = in_users_units(split, probabilities(np.asarray(raw, dtype=np.float64), self._task, logits))
            predictions = self._of_width(predictions, y, failures)
            finite = np.asarray(np.isfinite(predictions).all(axis=(1, 2)))
            for position in np.flatnonzero(~finite):
                failures[position] = failures[position] or "it diverged: its predictions are not finite numbers"
            predictions = np.where(finite[:, None, None], predictions, np.nan)
            for metric, values in evaluate(self._metrics, y, predictions, weight, task=self._task).items():
                scores[name, metric] = np.where(finite, np.asarray(values, dtype=np.float64), np.nan)
        return scores, predictions.astype(np.float32)  # of the last split, validation

    def _of_width(self, predictions: Array, y: Array, failures: list[str]) -> Array:
        """The predictions, or NaN where they are not one for each number or class to predict."""
        width = predictions.shape[2]
        wanted = 1 if self._task == "binary" else self._n_classes if self._task == "multiclass" else y.shape[1]
        least = int(y.max(initial=0)) + 1 if self._task == "multiclass" else wanted
        if width >= least and (width == wanted or self._task == "multiclass"):
            return predictions
        for position, reason in enumerate(failures):
            failures[position] = reason or f"it predicts {width} numbers for a row, where there are {wanted}"
        return np.full((*predictions.shape[:2], wanted), np.nan)

    def _recall(self, outcome: Outcome, logits: Array) -> dict[str, Array]:
        """`recall_0`, `recall_1`, ...: of each class the share of its validation rows that were predicted as such."""
        raw = np.asarray(outcome.validation_predictions, dtype=np.float64)
        n_classes = max(2, self._n_classes)
        if self._task == "regression" or n_classes > CLASSES_WITH_RECALL:
            return {}
        y = self._targets[outcome.jobs[0].split][1].reshape(-1)
        values = probabilities(raw, self._task, logits)
        predicted = values[:, :, 0] > 0.5 if values.shape[2] == 1 else values.argmax(axis=2)
        recall = {}
        for label in range(n_classes):
            rows = y == label
            share = (predicted[:, rows] == label).mean(axis=1) if rows.any() else np.full(len(values), np.nan)
            recall[f"recall_{label}"] = np.where(np.isfinite(raw).all(axis=(1, 2)), share, np.nan)
        return recall

    def _say(self, reason: str, fold: int, repeat: int) -> str:
        if self._n_members == 1:
            return reason
        single = self._n_folds == self._n_members and not self._first_repeat
        place = f"fold {fold + 1}" if single else f"fold {fold + 1}, repeat {repeat + 1}"
        return f"{place}: {reason}"

    def _finish(self, batch: Batch, indices: Array, n: int | None = None) -> list[Trial]:
        """Puts trials together, from all their members or from the first `n`."""
        if not len(indices):
            return []
        summaries = {
            metric: summarise(
                batch.scores["validation", metric][indices, :n],
                validation_ratio=self._validation_ratio,
                attainable=ATTAINABLE.get(metric, (-np.inf, np.inf)),
            )
            for metric in self._metrics
        }
        rows = {
            metric: list(
                zip(
                    summary.mean.tolist(),
                    summary.std.tolist(),
                    summary.low.tolist(),
                    summary.high.tolist(),
                    batch.scores["train", metric][indices, :n].mean(axis=-1).tolist(),
                    batch.scores["validation", metric][indices, :n].tolist(),
                    strict=True,
                )
            )
            for metric, summary in summaries.items()
        }
        trials = []
        for position, index in enumerate(indices.tolist()):
            _, failure, stopped = batch.failures.get(index, (0, "", False))
            if not failure and np.isnan(rows[self._metrics[0]][position][0]):
                failure = f"its {self._metrics[0]} is not a number on some validation rows"
            scores = {}
            if not failure or stopped:
                for metric, values in rows.items():
                    mean, std, low, high, train, each = values[position]
                    if len(each) == 1:
                        # A million trials hold a million of each: what is equal is one object.
                        std = low = high = math.nan
                        each = (mean,)
                    scores[metric] = Score(
                        metric=metric, mean=mean, std=std, low=low, high=high, train=train, values=tuple(each)
                    )
            engine, reason = batch.engines[index]
            trials.append(
                Trial(
                    number=int(batch.numbers[index]),
                    configuration=batch.configurations[index],
                    state="stopped" if stopped else "failed" if failure else "complete",
                    scores=scores,
                    n_parameters=batch.n_parameters[index],
                    elapsed_s=float(batch.elapsed_s[index].sum()),
                    engine=engine,
                    engine_reason=reason,
                    failure=failure,
                )
            )
        return trials


def in_users_units(split: Split, y: Array) -> Array:
    """A regression's targets or predictions, whose last axis is the output, as the user gave them."""
    if split.y_scale is None and split.y_offset is None:
        return y
    scale = 1.0 if split.y_scale is None else split.y_scale
    offset = 0.0 if split.y_offset is None else split.y_offset
    result: Array = y * scale + offset
    if split.y_log:
        with np.errstate(over="ignore"):  # what is not finite is told as a failure
            result = np.exp(result)
    return result
