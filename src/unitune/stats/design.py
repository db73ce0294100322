"""Where trials lie in their space, and how alike they are: the covariance of the model of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from unitune.records import Array
from unitune.space import Hyperparameter, Space
from unitune.space.domains import Choice


@dataclass(frozen=True, kw_only=True, eq=False)
class Column:
    """One hyperparameter of some configurations.

    Attributes:
        name: Of the hyperparameter.
        numeric: Whether values are positions on a line; otherwise they are numbers of choices without an order.
        x: `(configuration,)` positions, 0 to 1 within the domain, or numbers of choices from 0; NaN where inactive.
    """

    name: str
    numeric: bool
    x: Array

    @cached_property
    def distinct(self) -> tuple[Array, Array]:
        """The distinct values of `x`, and which of them each configuration has."""
        values, places = np.unique(self.x, return_inverse=True)
        return values, places.reshape(-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """Configurations as positions in their space, one column for each hyperparameter that varies."""

    columns: tuple[Column, ...]
    size: int

    def __len__(self) -> int:
        return self.size

    def take(self, rows: Array) -> Design:
        """Some of the configurations, by their indices."""
        columns = tuple(replace(one, x=one.x[rows]) for one in self.columns)
        return Design(columns=columns, size=len(np.arange(self.size)[rows]))


def design_of(space: Space, configurations: Sequence[Mapping[str, Any]]) -> Design:
    """The positions of configurations in a space.

    Numbers lie on the scale of their domain, logarithmic where it is; those of a list on the scale, plain or
    logarithmic, on which they are more evenly spaced. Choices have no order. What a condition switches off is NaN.

    Args:
        space: The space.
        configurations: Active values by name, as `Trial.configuration` has them.

    Example:
        >>> from unitune.space import Choice, Float
        >>> space = Space([Hyperparameter("learning_rate", Float(1e-4, 1e-2, log=True)),
        ...                Hyperparameter("activation", Choice(["relu", "tanh"]))])
        >>> design = design_of(space, [{"learning_rate": 1e-3, "activation": "tanh"}])
        >>> [(column.name, column.x.round(3).tolist()) for column in design.columns]
        [('learning_rate', [0.5]), ('activation', [1.0])]
    """
    columns = []
    for hyperparameter in space:
        if hyperparameter.varies:
            name = hyperparameter.name
            values = [one.get(name, _ABSENT) for one in configurations]
            columns.append(_column(space, hyperparameter, values))
    return Design(columns=tuple(columns), size=len(configurations))


_ABSENT = object()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _column(space: Space, hyperparameter: Hyperparameter, values: Sequence[Any]) -> Column:
    domain, name = hyperparameter.domain, hyperparameter.name
    options = list(domain.options) if isinstance(domain, Choice) else []
    bounds = [float(one) for one in options if _is_number(one)] if options else [domain.low, domain.high]  # type: ignore[union-attr]
    numeric = len(bounds) == max(len(options), 2) or (bool(options) and len(bounds) == len(options))
    if numeric and all(value is _ABSENT or _is_number(value) for value in values):
        low, high = min(bounds), max(bounds)
        log = _evenly_logarithmic(bounds) if options else bool(getattr(domain, "log", False))
        x = np.array([np.nan if value is _ABSENT else float(value) for value in values], dtype=np.float64)
        if log:
            x, low, high = np.log(np.maximum(x, low / 1e3)), np.log(low), np.log(high)
        return Column(name=name, numeric=True, x=(x - low) / (high - low))
    codes = {_key(space, name, option): float(number) for number, option in enumerate(options)}
    x = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if value is not _ABSENT:
            x[row] = codes.setdefault(_key(space, name, value), float(len(codes)))
    return Column(name=name, numeric=False, x=x)


def _key(space: Space, name: str, value: Any) -> tuple[bool, Any]:
    shown = space.label(name, value)
    return isinstance(shown, bool), shown


def _evenly_logarithmic(values: Sequence[float]) -> bool:
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if len(ordered) < 2 or ordered[0] <= 0:
        return False
    if len(ordered) == 2:
        return bool(ordered[1] / ordered[0] >= 4)
    plain, logarithmic = np.diff(ordered), np.diff(np.log(ordered))
    return bool(logarithmic.std() / logarithmic.mean() < plain.std() / plain.mean())


def similarities(first: Design, second: Design, weights: Array, lengths: Array) -> Array:
    """The covariance of the smooth part between configurations of two designs.

    ``k(x, x') = prod_j (1 + w_j k_j(x_j, x'_j)) / prod_j (1 + w_j)``: a sum over all sets of hyperparameters of what
    they do together. With small weights effects add up, with large ones everything depends on everything. ``k_j`` is
    ``exp(-(x - x')² / (2 length²))`` of numbers, 1 of the same choice and 0 of another, 1 where both are inactive and
    0 where one is.

    Args:
        first, second: Of the same space.
        weights, lengths: `(hyperparameter,)`, positive.

    Source: Duvenaud, Nickisch and Rasmussen, "Additive Gaussian processes", NeurIPS 24 (2011); Durrande et al., "ANOVA
        kernels and RKHS of zero mean functions for model-based sensitivity analysis" (2013).
    """
    total = np.full((len(first), len(second)), 1.0 / float(np.prod(1 + weights)))
    for a, b, weight, length in zip(first.columns, second.columns, weights, lengths, strict=True):
        # Kernels are computed between distinct values: a grid has few.
        (left, at_left), (right, at_right) = a.distinct, b.distinct
        off_left, off_right = np.isnan(left), np.isnan(right)
        gap = left[:, None] - right[None, :]
        alike = np.exp(-0.5 * (gap / length) ** 2) if a.numeric else (gap == 0).astype(np.float64)
        alike = np.where(off_left[:, None] | off_right[None, :], off_left[:, None] & off_right[None, :], alike)
        factor = 1 + weight * alike
        total *= factor[at_left][:, at_right]
    return total
