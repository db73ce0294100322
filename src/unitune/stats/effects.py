"""What hyperparameters do to the true score, each with how sure it is: shares of the variation, and marginals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitune.records import Array
from unitune.space import Space
from unitune.stats.design import Design, design_of
from unitune.stats.posterior import Posterior
from unitune.stats.variance import FOLDS, REST, Share, is_complete, pairs_in_order

SAMPLE = 64
"""So many configurations of the space stand for the other hyperparameters."""
VALUES = 6
"""So many values of a range are looked at."""
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Marginal:
    """The trials of one value of a hyperparameter.

    Attributes:
        value: The number of the value.
        n_trials: How many trials have it.
        mean, low, high: The true score to expect with it over the others, and its 95 % interval.
        best: The index of the trial of the smallest expected loss among these.
        best_mean, best_low, best_high: What to expect of it: the other hyperparameters are chosen for this value.
    """

    value: int
    n_trials: int
    mean: float
    low: float
    high: float
    best: int
    best_mean: float
    best_low: float
    best_high: float


def effect_shares(posterior: Posterior, space: Space) -> tuple[Share, ...]:
    """How much of the variation of scores is due to each hyperparameter and each pair, to folds, and to the rest.

    For each draw of the true scores their variance over the space is divided: that of the mean given a hyperparameter,
    and what two do together beyond it (functional ANOVA). On a complete grid the space is its trials; elsewhere a
    sample of it. The luck of folds and of networks is that of single scores. The share is the median over draws, and
    the interval holds 95 % of them.

    Args:
        posterior: With a design.
        space: Where the trials lie.

    Source: Hooker, "Generalized functional ANOVA diagnostics for high-dimensional functions of dependent variables",
        JCGS 16 (2007); Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter importance"
        (2014).
    """
    if posterior.design is None:
        raise ValueError("the posterior has no design")
    names = [one.name for one in posterior.design.columns if len(np.unique(one.x[np.isfinite(one.x)])) > 1]
    codes = {one.name: np.nan_to_num(one.x, nan=-1.0) for one in posterior.design.columns if one.name in names}
    if is_complete(codes) and not posterior.missing.any():
        parts, total = _on_grid(posterior.draws, codes)
    else:
        parts, total = _on_sample(posterior, space, names)
    whole = np.maximum(total + posterior.fold_variance + posterior.rest_variance, 1e-300)  # all may be equal
    known = {name: part / whole for name, part in parts.items()}
    if posterior.n_members.max() > 1:
        known[FOLDS] = posterior.fold_variance / whole
    found = [_share(name, values) for name, values in known.items()]
    rest = np.maximum(1 - sum(known.values()), 0.0)
    left = max(0.0, 1 - sum(one.share for one in found))
    low, high = np.quantile(rest, [0.025, 0.975])
    return (*found, Share(term=REST, share=left, low=min(float(low), left), high=max(float(high), left)))


def _share(name: str, values: Array) -> Share:
    low, middle, high = np.quantile(values, [0.025, 0.5, 0.975])
    return Share(term=name, share=float(middle), low=float(low), high=float(high))


def _on_grid(draws: Array, codes: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
    """Variances by term, `(draw,)` each, and the whole."""
    names = list(codes)
    places = {name: np.unique(codes[name], return_inverse=True)[1] for name in names}
    sizes = [int(places[name].max()) + 1 for name in names]
    grid = np.empty((len(draws), *sizes))
    cells: tuple[Any, ...] = (slice(None), *(places[name] for name in names))
    grid[cells] = draws
    grid -= grid.mean(axis=tuple(range(1, grid.ndim)), keepdims=True)

    def margin(*kept: int) -> Array:
        return np.asarray(grid.mean(axis=tuple(a for a in range(1, grid.ndim) if a - 1 not in kept), keepdims=True))

    def variance(part: Array) -> Array:
        return np.asarray((part**2).mean(axis=tuple(range(1, part.ndim))))

    parts = {name: variance(margin(axis)) for axis, name in enumerate(names)}
    for first, second in pairs_in_order(names):
        a, b = names.index(first), names.index(second)
        parts[f"{first} x {second}"] = variance(margin(a, b) - margin(a) - margin(b))
    return parts, variance(grid)


def _on_sample(posterior: Posterior, space: Space, names: Sequence[str]) -> tuple[dict[str, Array], Array]:
    base = sample_of(space)
    values = {name: _values(space, name) for name in names}
    points = [space.active(one) for one in sample_of(space, 4 * SAMPLE)]
    whole = posterior.at(design_of(space, points), thin=True)
    total = whole.var(axis=1)
    singles: dict[str, Array] = {}
    parts: dict[str, Array] = {}
    for name in names:
        singles[name] = _means(posterior, space, [{**one, name: v} for v in values[name] for one in base], len(base))
        parts[name] = singles[name].var(axis=1)
    few = base[: SAMPLE // 2]
    for first, second in pairs_in_order(names):
        a, b = values[first], values[second]
        grid = [{**one, first: v, second: w} for v in a for w in b for one in few]
        both = _means(posterior, space, grid, len(few)).reshape(-1, len(a), len(b))
        both = (
            both
            - both.mean(axis=1, keepdims=True)
            - both.mean(axis=2, keepdims=True)
            + both.mean(axis=(1, 2), keepdims=True)
        )
        parts[f"{first} x {second}"] = (both**2).mean(axis=(1, 2))
    return parts, np.maximum(total, sum(parts.values()))


def _means(posterior: Posterior, space: Space, points: Sequence[Mapping[str, Any]], size: int) -> Array:
    """`(draw, value)` means over the sample."""
    draws = posterior.at(design_of(space, [space.active(one) for one in points]), thin=True)
    return np.asarray(draws.reshape(len(draws), -1, size).mean(axis=2))


def sample_of(space: Space, n: int = SAMPLE) -> list[dict[str, Any]]:
    """Values of all hyperparameters, also of those that others switch off, from all over the space.

    Args:
        space: The space.
        n: How many configurations; a power of two.
    """
    from scipy.stats import qmc  # takes a second to import

    unit = qmc.Sobol(max(1, len(space)), seed=SEED).random(n)
    return [{h.name: h.domain.from_unit(float(u)) for h, u in zip(space, row, strict=True)} for row in unit]


def _values(space: Space, name: str) -> list[Any]:
    domain = space[name].domain
    if domain.size <= VALUES:
        return list(domain.values())
    if not hasattr(domain, "low"):
        return list(domain.values())
    return list(dict.fromkeys(domain.from_unit((place + 0.5) / VALUES) for place in range(VALUES)))


def effect_marginals(
    posterior: Posterior,
    codes: Array,
    *,
    configurations: Callable[[int], Design] | None = None,
) -> list[Marginal]:
    """What one hyperparameter does: for each of its values the mean true score over its trials, and its best trial.

    Args:
        posterior: What is known.
        codes: `(trial,)` numbers of the values, below 0 where the hyperparameter is not active.
        configurations: Gives for a value the positions of a sample of configurations that have it: the mean is then
            over that sample, the same for every value, and not over the trials, whose others differ by chance.

    Returns:
        One for each value that some trial has, in their order. `best` is the trial of the smallest expected loss among
        those of the value, `best_mean` its expected true score.
    """
    mean, (low, high), loss = posterior.mean, posterior.interval(), posterior.expected_loss
    found = []
    for code in np.unique(codes[codes >= 0]):
        rows = np.flatnonzero(codes == code)
        over = posterior.draws[:, rows] if configurations is None else posterior.at(configurations(int(code)))
        ends = np.quantile(over.mean(axis=1), [0.025, 0.5, 0.975])
        best = int(rows[loss[rows].argmin()])
        known = np.nan if posterior.relative else 1.0
        found.append(
            Marginal(
                value=int(code),
                n_trials=len(rows),
                mean=float(ends[1]),
                low=float(ends[0] * known),
                high=float(ends[2] * known),
                best=best,
                best_mean=float(mean[best]),
                best_low=float(low[best]),
                best_high=float(high[best]),
            )
        )
    return found
