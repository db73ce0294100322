"""`FakeEngine`: networks that are solved, not trained, for tests of what is around training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from unitune.data.arrays import Split
from unitune.engine.contract import Job, Outcome, Take
from unitune.errors import OptionError
from unitune.models.build import initial_weights
from unitune.models.forward import forward, is_simple
from unitune.records import Array

RIDGE = 1e-3
SURE = 4.0
"""The logit that stands for a class."""


class FakeEngine:
    """Hidden layers stay as they are drawn, and the last layer is a least-squares fit on what they give.

    So a member takes a millisecond and no compiler, and yet its scores, predictions and weights are those of a real
    network: given as `engine=`, it makes a whole search, its result, report and model in less than a second. Curves are
    of one epoch, and flat. For tests of a pipeline around Unitune, of listeners, strategies and reports; its scores say
    nothing of training.

    Args:
        failures: From the number of a trial to the reason for which its members fail.
        on_member: Called with each job before it is trained; what it raises ends the search.

    Raises:
        OptionError: A network is no chain of dense layers and what goes between them.

    Example:
        >>> import numpy as np
        >>> import unitune
        >>> from unitune.testing import FakeEngine
        >>> x = np.random.default_rng(0).normal(size=(60, 4))
        >>> engine = FakeEngine(failures={2: "it diverged"})
        >>> result = unitune.tune(x, x[:, 0], units=[4, 8], activations="tanh", engine=engine, progress=False)
        >>> [(trial.number, trial.state) for trial in result.trials]
        [(1, 'complete'), (2, 'failed')]
        >>> result.model().predict(x[:3], verbose=0).shape
        (3, 1)
    """

    name = "fake"
    plans: tuple[object, ...] = ()
    resumable = None

    def __init__(
        self, *, failures: Mapping[int, str] | None = None, on_member: Callable[[Job], None] = lambda job: None
    ) -> None:
        self._failures = dict(failures or {})
        self._on_member = on_member

    def train(
        self,
        jobs: Sequence[Job],
        splits: Sequence[Split],
        *,
        should_stop: Callable[[], bool] = lambda: False,
        take: Take | None = None,
    ) -> Iterator[Outcome]:
        """Solves one member after another, as `unitune.engine.contract.Engine` asks for it.

        Args:
            jobs: The members.
            splits: Their rows.
            should_stop: Whether to begin no more.
            take: Which of some jobs are to be trained; all if not given.
        """
        for job in jobs:
            if should_stop():
                return
            if take is None or take([job])[0]:
                self._on_member(job)
                yield _outcome(job, splits[job.split], self._failures.get(job.member.trial, ""))


def _outcome(job: Job, split: Split, failure: str) -> Outcome:
    weights = _solved(job, split)
    metrics = ("loss", *job.training.metric_names)
    flat = np.ones((1, 1, len(metrics)), np.float32)
    return Outcome(
        jobs=(job,),
        metrics=metrics,
        train=flat,
        validation=flat,
        learning_rate=np.full((1, 1), job.training.optimizer.learning_rate),
        n_epochs=np.ones(1, int),
        best_epoch=np.ones(1, int),
        train_predictions=forward(job.blueprint, weights, split.x_train)[None],
        validation_predictions=forward(job.blueprint, weights, split.x_val)[None],
        weights=(tuple(weights),),
        failures=(failure,),
        elapsed_s=np.zeros(1),
        engine="fused",
    )


def _solved(job: Job, split: Split) -> list[Array]:
    """Drawn weights, but for the last layer: a ridge regression of the target, or of logits for classes."""
    blueprint, last = job.blueprint, job.blueprint.layers[-1] if job.blueprint.layers else None
    if last is None or last.class_name != "Dense" or not is_simple(blueprint):
        raise OptionError("`FakeEngine` takes chains of layers that end with `Dense`", "got another network")
    weights = initial_weights(blueprint, split.x_train.shape[1:], job.member.seed)
    hidden = forward(replace(blueprint, layers=blueprint.layers[:-1]), weights[:-2], split.x_train)
    inputs = np.concatenate([hidden, np.ones((len(hidden), 1))], axis=1)
    y = split.y_train
    if y.ndim == 1:
        y = np.eye(weights[-1].shape[0])[y]
    if last.config["activation"] != "linear":
        y = SURE * (2.0 * y - 1.0)
    w = np.ones(len(y)) if split.w_train is None else split.w_train
    gram = inputs.T @ (inputs * w[:, None]) + RIDGE * np.eye(inputs.shape[1])
    solution = np.linalg.solve(gram, inputs.T @ (y * w[:, None])).astype(np.float32)
    return [*weights[:-2], solution[:-1], solution[-1]]
