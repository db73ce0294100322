"""Probes `(member, epoch, layer)` reduced to what a rule needs; NaN where nothing was probed."""

from __future__ import annotations

import numpy as np

from unitune.diagnosis.curves import at, medians
from unitune.diagnosis.evidence import Evidence
from unitune.records import Array


def probe(evidence: Evidence, name: str) -> Array:
    """A probe, or `(member, epoch, 1)` of NaN where it was not taken."""
    values = evidence.probes.get(name)
    if values is None or values.shape[2] == 0:
        return np.full((*evidence.train.shape, 1), np.nan)
    return np.asarray(values, dtype=np.float64)


def over_layers(evidence: Evidence, name: str) -> Array:
    """The largest over the layers, `(member, epoch)`."""
    values = probe(evidence, name)
    filled = np.where(np.isfinite(values), values, -np.inf).max(axis=2)
    return np.where(np.isfinite(filled), filled, np.nan)


def per_member(curves: Array, evidence: Evidence, *, first: bool = False) -> Array:
    """The value at the first epoch, or at the last that was trained, `(member,)`."""
    n = np.asarray(evidence.n_epochs)
    return at(curves, np.ones_like(n) if first else n)


def worst_layer(evidence: Evidence, name: str) -> tuple[Array, Array, Array]:
    """`(trial,)` each: the share in the worst layer at the end, which layer that is (from 1), and its share at epoch 1.

    The share is the median over members, so that a single member does not speak for its trial.
    """
    values = probe(evidence, name)
    end = np.stack([evidence.per_trial(per_member(values[:, :, i], evidence)) for i in range(values.shape[2])])
    start = np.stack(
        [evidence.per_trial(per_member(values[:, :, i], evidence, first=True)) for i in range(values.shape[2])]
    )
    filled = np.where(np.isfinite(end), end, -np.inf)
    layer = filled.argmax(axis=0)
    trials = np.arange(end.shape[1])
    return end[layer, trials], layer + 1.0, start[layer, trials]


def began(evidence: Evidence, name: str, position: int, layer: int, threshold: float) -> int:
    """The first epoch, from 1, at which the median member of a trial was beyond the threshold in a layer; 0 if none."""
    members = np.asarray(evidence.trial) == position
    values = probe(evidence, name)[members, :, layer - 1]
    beyond = np.flatnonzero(medians(values.T) >= threshold)
    return int(beyond[0]) + 1 if len(beyond) else 0


def flow(evidence: Evidence) -> tuple[Array, Array]:
    """`(trial,)`: the gradient norm of the first over that of the last dense layer, and the largest norm of any layer.

    Medians over the first half of training: later a fitted network's gradients are small and noisy everywhere.
    """
    values = probe(evidence, "gradient_norm")
    n = np.asarray(evidence.n_epochs)
    early = np.arange(values.shape[1])[None, :] < np.maximum(1, (n + 1) // 2)[:, None]
    values = np.where(early[:, :, None], values, np.nan)
    known = np.isfinite(values)
    n_layers = known.any(axis=1).sum(axis=1)
    last = np.take_along_axis(values, np.maximum(n_layers - 1, 0)[:, None, None], axis=2)[:, :, 0]
    first = values[:, :, 0]
    usable = (last > 0) & (n_layers > 1)[:, None]
    shares = np.divide(first, last, out=np.full(first.shape, np.nan), where=usable)
    largest = np.where(known, values, -np.inf).max(axis=2)
    largest = np.where(np.isfinite(largest), largest, np.nan)
    return evidence.per_trial(medians(shares)), evidence.per_trial(medians(largest) / evidence.scale)
