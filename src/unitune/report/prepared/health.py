"""Activation health: what the probes measured inside a trial's networks, by layer and epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from unitune.records import Array

# In the order of the panels: the probe, what it is called, and whether its axis is logarithmic.
PROBES = {
    "dead_units": ("dead units, share", False),
    "saturated": ("saturated outputs, share", False),
    "gradient_norm": ("norm of the gradient", True),
    "update_ratio": ("update ÷ weights", True),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerCurve:
    """A probe of one layer. Arrays are `(epoch,)`: the mean over the members, the lowest and the highest."""

    layer: str
    epoch: Array
    mean: Array
    low: Array
    high: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class HealthPanel:
    """One probe of all layers."""

    probe: str
    title: str
    log: bool
    layers: tuple[LayerCurve, ...]


def health(probes: pd.DataFrame) -> tuple[HealthPanel, ...]:
    """A panel for each probe that was measured.

    Args:
        probes: Of one trial, in long form: `fold`, `repeat`, `epoch`, `layer`, `probe`, `value`.
    """
    panels = []
    for probe, (title, log) in PROBES.items():
        part = probes[(probes["probe"] == probe) & np.isfinite(probes["value"])] if len(probes) else probes
        if part.empty:
            continue
        layers = []
        for layer in dict.fromkeys(sorted(part["layer"].unique())):
            groups = part[part["layer"] == layer].groupby("epoch")["value"]
            mean = groups.mean()
            layers.append(
                LayerCurve(
                    layer=f"layer {layer}" if isinstance(layer, int | np.integer) else str(layer),
                    epoch=mean.index.to_numpy(),
                    mean=mean.to_numpy(),
                    low=groups.min().to_numpy(),
                    high=groups.max().to_numpy(),
                )
            )
        panels.append(HealthPanel(probe=probe, title=title, log=log, layers=tuple(layers)))
    return tuple(panels)
