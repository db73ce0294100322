"""A stand-in for the engines, for tests whose point is not training: only the last layer learns, by least squares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from unitune.engine.contract import Outcome
from unitune.integrations.sklearn.forward import forward
from unitune.models.build import initial_weights


def learn(job: Any, split: Any) -> list[Any]:
    """Random hidden layers; the output layer is a ridge regression on what they give, of logits for classes."""
    weights = initial_weights(job.blueprint, split.x_train.shape[1:], job.member.seed)
    hidden = forward(replace(job.blueprint, layers=job.blueprint.layers[:-1]), weights[:-2], split.x_train)
    inputs = np.concatenate([hidden, np.ones((len(hidden), 1))], axis=1)
    y = split.y_train
    if y.ndim == 1:
        y = np.eye(weights[-1].shape[0])[y]
    if job.blueprint.layers[-1].config["activation"] != "linear":
        y = 8.0 * y - 4.0
    w = np.ones(len(y)) if split.w_train is None else split.w_train
    gram = inputs.T @ (inputs * w[:, None]) + 1e-3 * np.eye(inputs.shape[1])
    solved = np.linalg.solve(gram, inputs.T @ (y * w[:, None])).astype("float32")
    return [*weights[:-2], solved[:-1], solved[-1]]


class QuickEngine:
    """Implements `unitune.engine.contract.Engine`."""

    name = "fused"
    plans: tuple[object, ...] = ()
    resumable = None

    def train(self, jobs: Any, splits: Any, **_: Any) -> Any:
        for job in jobs:
            split = splits[job.split]
            weights = learn(job, split)
            ones = np.ones((1, 1))
            metrics = ("loss", *job.training.metrics)
            yield Outcome(
                jobs=(job,),
                metrics=metrics,
                train=np.ones((1, 1, len(metrics))),
                validation=np.ones((1, 1, len(metrics))),
                learning_rate=ones,
                n_epochs=np.array([1]),
                best_epoch=np.array([1]),
                train_predictions=forward(job.blueprint, weights, split.x_train)[None],
                validation_predictions=forward(job.blueprint, weights, split.x_val)[None],
                weights=(tuple(weights),),
                failures=("",),
                elapsed_s=np.array([0.0]),
                engine=self.name,
            )
