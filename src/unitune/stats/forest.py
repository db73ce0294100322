"""How much of the variation in score each hyperparameter accounts for, on a sampled space: functional ANOVA.

A random forest learns the score from the hyperparameters. Each of its trees is constant on boxes, so its mean over all
hyperparameters but some can be computed exactly, and with it the variance that these some explain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unitune.records import Array
from unitune.stats.variance import FOLDS, REST, Share, pairs_in_order

TREES = 64
MIN_TRIALS = 10
MAX_LEAF = 3
MOST_PAIRS = 45


@dataclass(frozen=True, kw_only=True, eq=False)
class Axis:
    """A hyperparameter as the forest sees it.

    Attributes:
        name: Its name.
        x: `(trial,)` positions of the trials' values.
        grid: `(value,)` positions that stand for the whole domain, each with equal weight.
    """

    name: str
    x: Array
    grid: Array


def forest_shares(axes: Mapping[str, Axis], values: Array, *, seed: int = 0) -> tuple[Share, ...]:
    """The variation in score by hyperparameter and by pairs of them over a space that was sampled.

    First the scores are split in two ways, trials by cells: what trials explain beyond noise is
    ``(SS_trials - df * MS_rest) / (SS_total + MS_rest)``, and likewise for folds. Then a forest divides the trials'
    part: ``V_U / V``, with ``V_U`` the variance over the domain of the mean prediction given the hyperparameters U,
    less the parts of their subsets. What trials explain in ways of three and more hyperparameters is left in the
    rest.

    Args:
        axes: For each hyperparameter that varies.
        values: `(trial, cell)` scores, all finite.
        seed: Of the forest.

    Returns:
        The shares: hyperparameters, then pairs, then folds and the rest. The intervals are the 2.5 % and 97.5 % points
        over the trees; those of folds and the rest are NaN.

    Raises:
        ValueError: Fewer than 10 trials.

    Source: Hutter, Hoos and Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter Importance", ICML (2014).
    """
    trials, cells = values.shape
    if trials < MIN_TRIALS:
        raise ValueError(f"a forest needs {MIN_TRIALS} trials or more")
    from sklearn.ensemble import RandomForestRegressor

    trial_share, fold_share = _split(values)
    names = list(axes)
    pairs = pairs_in_order(names)[:MOST_PAIRS]
    x = np.stack([axes[name].x for name in names], axis=1).astype(np.float32)
    y = values.mean(axis=1)
    spread = y.std()
    forest = RandomForestRegressor(
        n_estimators=TREES, min_samples_leaf=min(MAX_LEAF, max(1, trials // 20)), max_features=0.7, random_state=seed
    )
    forest.fit(x, (y - y.mean()) / spread if spread > 0 else y)
    parts = np.array([_tree_parts(tree.tree_, [axes[name].grid for name in names], names, pairs) for tree in forest])
    terms = [*names, *(f"{first} x {second}" for first, second in pairs)]
    found = []
    for term, part in zip(terms, parts.T * trial_share, strict=True):
        low, high = np.quantile(part, [0.025, 0.975])
        found.append(Share(term=term, share=float(part.mean()), low=float(low), high=float(high)))
    nothing = float("nan")
    if cells > 1:
        found.append(Share(term=FOLDS, share=fold_share, low=nothing, high=nothing))
    left = max(0.0, 1 - sum(one.share for one in found))
    return (*found, Share(term=REST, share=left, low=nothing, high=nothing))


def _split(values: Array) -> tuple[float, float]:
    """The shares of trials and of cells, beyond what noise alone would give them; of one cell all is the trials'."""
    trials, cells = values.shape
    centred = values - values.mean()
    total = float((centred**2).sum())
    if total <= 0:
        return 0.0, 0.0
    if cells < 2:
        return 1.0, 0.0
    ss_trials = float((centred.mean(axis=1) ** 2).sum()) * cells
    ss_cells = float((centred.mean(axis=0) ** 2).sum()) * trials
    ms_rest = max(0.0, total - ss_trials - ss_cells) / ((trials - 1) * (cells - 1))
    whole = total + ms_rest
    return (
        max(0.0, (ss_trials - (trials - 1) * ms_rest) / whole),
        max(0.0, (ss_cells - (cells - 1) * ms_rest) / whole),
    )


def _tree_parts(tree: object, grids: list[Array], names: list[str], pairs: list[tuple[str, str]]) -> list[float]:
    """The share of the tree's variance over the domain that each hyperparameter and each pair explains."""
    masks, leaf_values = _leaves(tree, grids)
    fractions = np.stack([mask.mean(axis=1) for mask in masks], axis=1)  # (leaf, axis)
    volume = fractions.prod(axis=1)
    mean = float(volume @ leaf_values)
    variance = float(volume @ (leaf_values - mean) ** 2)
    if variance <= 1e-12:
        return [0.0] * (len(names) + len(pairs))
    height = leaf_values - mean
    # Every leaf holds some of the grid, or it has no volume and counts for nothing.
    safe = np.where(fractions > 0, fractions, 1.0)
    single, marginal = {}, {}
    for axis, name in enumerate(names):
        rest = np.where(fractions[:, axis] > 0, volume / safe[:, axis], 0.0)
        marginal[name] = (height * rest) @ masks[axis]
        single[name] = float((marginal[name] ** 2).mean())
    joint = []
    for first, second in pairs:
        i, j = names.index(first), names.index(second)
        rest = np.where((fractions[:, i] > 0) & (fractions[:, j] > 0), volume / safe[:, i] / safe[:, j], 0.0)
        surface = (masks[i] * (height * rest)[:, None]).T @ masks[j]
        both = surface - marginal[first][:, None] - marginal[second][None, :]
        joint.append(float((both**2).mean()))
    return [part / variance for part in (*(single[name] for name in names), *joint)]


def _leaves(tree: object, grids: list[Array]) -> tuple[list[Array], Array]:
    """For each axis which grid values lie in each leaf's box `(leaf, value)`, and the leaves' predictions."""
    left, right = tree.children_left, tree.children_right  # type: ignore[attr-defined]
    feature, threshold = tree.feature, tree.threshold  # type: ignore[attr-defined]
    predictions = tree.value[:, 0, 0]  # type: ignore[attr-defined]
    boxes: list[list[Array]] = [[] for _ in grids]
    heights = []
    stack = [(0, [np.ones(len(grid), dtype=bool) for grid in grids])]
    while stack:
        node, box = stack.pop()
        if left[node] < 0:
            for axis, mask in enumerate(box):
                boxes[axis].append(mask)
            heights.append(predictions[node])
            continue
        axis = int(feature[node])
        below = grids[axis] <= threshold[node]
        for child, side in ((left[node], below), (right[node], ~below)):
            stack.append((int(child), [m & side if k == axis else m for k, m in enumerate(box)]))
    return [np.asarray(masks, dtype=np.float64) for masks in boxes], np.asarray(heights)
