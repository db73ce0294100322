"""Activation health of all trials beside each other: dead units, saturation and gradient flow at a glance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unitune.diagnosis import thresholds
from unitune.records import Array
from unitune.report.numbers import axis_name, setting

# The column, what it is called, whether its axis is logarithmic, and from where on `diagnosis` speaks of it.
MEASURES = {
    "dead_units": ("dead units, worst layer", False, (thresholds.DEAD_SHARE,)),
    "saturated": ("saturated outputs, worst layer", False, (thresholds.SATURATED_GROWN,)),
    "gradient_flow": ("gradient, first ÷ last layer", True, (thresholds.VANISHING_RATIO, thresholds.EXPLODING_RATIO)),
}
SPREAD = 0.26
MAX_GROUPS = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class OverviewPanel:
    """One measure of all trials. Arrays are `(trial,)`.

    Attributes:
        title: The measure.
        log: Whether its axis is logarithmic.
        limits: From where on it is a finding.
        groups: The values by which trials stand together, from the top: numbers by size, others as they were tried.
        by: The hyperparameter that these are values of; empty where nothing varied.
        place: Each trial's place: the number of its group, and within it a little up or down.
        value: The measure.
        labels: What each trial is.
        recommended: Which one is recommended.
    """

    title: str
    log: bool
    limits: tuple[float, ...]
    groups: tuple[str, ...]
    by: str
    place: Array
    value: Array
    labels: tuple[str, ...]
    recommended: Array

    def summary(self) -> list[tuple[str, float, float, float]]:
        """For each group its name, and the lowest, the median and the highest of its trials."""
        number = np.round(self.place).astype(int)
        found = []
        for position, name in enumerate(self.groups):
            values = self.value[number == position]
            if len(values):
                found.append((name, float(values.min()), float(np.median(values)), float(values.max())))
        return found


def overview(
    health: pd.DataFrame,
    table: pd.DataFrame,
    labels: Mapping[int, str],
    settings: tuple[str, ...],
    *,
    recommended: int | None = None,
) -> tuple[OverviewPanel, ...]:
    """A panel for each measure that some trial has.

    Args:
        health: A row for each trial: `trial`, and any of `dead_units`, `saturated`, `gradient_flow`.
        table: A row for each trial with its configuration.
        labels: From a trial's number to its name.
        settings: The hyperparameters that vary; trials stand together by the activation if it is one of them.
        recommended: The number of the recommended trial.
    """
    by = _by(settings)
    joined = health.merge(table[["trial", *([by] if by else [])]], on="trial").sort_values("trial")
    if by and joined[by].nunique() > MAX_GROUPS:
        by = ""
    groups = [""] if not by else [setting(value) or "default" for value in _ordered(joined[by])]
    number = np.zeros(len(joined), int)
    if by:
        number = np.array([groups.index(setting(value) or "default") for value in joined[by]], dtype=int)
    panels = []
    for name, (title, log, limits) in MEASURES.items():
        values = joined[name].to_numpy(float) if name in joined else np.full(len(joined), np.nan)
        known = np.isfinite(values) & ((values > 0) if log else True)
        if not known.any():
            continue
        trials = joined["trial"].to_numpy()[known]
        panels.append(
            OverviewPanel(
                title=title,
                log=log,
                limits=limits,
                groups=tuple(groups),
                by=axis_name(by) if by else "",
                place=number[known] + _apart(number[known]),
                value=values[known],
                labels=tuple(labels[int(trial)] for trial in trials),
                recommended=trials == recommended,
            )
        )
    return tuple(panels)


def _by(settings: tuple[str, ...]) -> str:
    for wanted in ("activation", "activation_1", "units", "units_1"):
        if wanted in settings:
            return wanted
    return settings[0] if settings else ""


def _ordered(values: pd.Series) -> list[object]:
    distinct = list(dict.fromkeys(values))
    if all(isinstance(value, int | float | np.integer | np.floating) for value in distinct):
        return sorted(distinct)
    return distinct


def _apart(number: Array) -> Array:
    """Evenly up and down within each group, so that points at the same value do not hide each other."""
    shift = np.zeros(len(number))
    for group in np.unique(number):
        mine = np.flatnonzero(number == group)
        if len(mine) > 1:
            shift[mine] = np.linspace(-SPREAD, SPREAD, len(mine))
    return shift
