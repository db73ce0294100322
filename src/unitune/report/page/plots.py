"""The figures of the page: each with its text alternative, its caption, and its numbers as a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from unitune.records import counted
from unitune.report.draw.parts import term_name
from unitune.report.gallery import Gallery
from unitune.report.numbers import axis_name, score_format
from unitune.report.prepared.curves import Panel

if TYPE_CHECKING:
    import plotly.graph_objects as go

RANGE = "95 % interval"
BORDER = "The line encloses those of which one is the best of all with 95 %. "


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure on the page: its name, its Plotly JSON, its text alternative, its caption, and its numbers."""

    name: str
    json: Markup
    height: int
    alternative: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def _plot(
    name: str, figure: go.Figure, alternative: str, caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> Plot:
    text = str(figure.to_json(remove_uids=True)).replace("<", "\\u003c").replace("\u2028", "").replace("\u2029", "")
    return Plot(
        name=name,
        json=Markup(text),
        height=int(figure.layout.height),
        alternative=alternative,
        caption=caption,
        header=tuple(header),
        rows=tuple(tuple(row) for row in rows),
    )


def _heatmap(gallery: Gallery) -> Plot | None:
    grid, facts = gallery.grid(), gallery.facts
    if grid is None:
        return None
    number = score_format(grid.values.ravel())
    cells = [(r, c) for r in range(len(grid.rows)) for c in range(len(grid.columns)) if grid.trial[r, c]]
    best = (max if facts.direction == "maximize" else min)(cells, key=lambda cell: float(grid.values[cell]))
    n = int(grid.credible.sum())
    aim = "higher" if facts.direction == "maximize" else "lower"
    border = ""
    if facts.credible:
        border = "Any of the cells may be the best. " if n == len(cells) else BORDER
    below = (
        ", and below it, where there is room, the range that holds it with 95 %" if np.isfinite(grid.low).any() else ""
    )
    return _plot(
        "heatmap",
        gallery.heatmap(),
        f"Heat map of the {facts.objective} to expect by {axis_name(grid.row_name)} and "
        f"{axis_name(grid.column_name)}. Best: {grid.rows[best[0]]} with {grid.columns[best[1]]}, "
        f"{number(float(grid.values[best]))}. {n} of {len(cells)} cells may be the best.",
        f"The {facts.objective} to expect on new rows ({aim} is better, and darker){below}. It is worked out from the "
        f"scores of all trials together, so that neighbours support each other. {border}"
        + "★ is the recommended configuration."
        * (facts.recommended is not None),
        (axis_name(grid.row_name), axis_name(grid.column_name), f"{facts.objective} to expect", RANGE, "may be best"),
        [
            (
                grid.rows[r],
                grid.columns[c],
                number(float(grid.values[r, c])),
                range_text(number, float(grid.low[r, c]), float(grid.high[r, c])),
                "yes" if grid.credible[r, c] else "no",
            )
            for r, c in cells
        ],
    )


def range_text(number: Callable[[float], str], low: float, high: float) -> str:
    """An interval as it stands in a table."""
    return "" if math.isnan(low) else f"{number(low)} to {number(high)}"


def _intervals(gallery: Gallery) -> Plot | None:
    rows, facts = gallery.interval_rows(), gallery.facts
    if not rows:
        return None
    number = score_format([value for row in rows for value in (row.expected, row.mean)])
    known = any(math.isfinite(row.low) for row in rows)
    line = (
        "The line holds the score on new rows with 95 %, the point is the score to expect" if known else "The point is "
    )
    line += "" if known else "the score to expect"
    return _plot(
        "intervals",
        gallery.intervals(),
        f"The top {counted(len(rows), 'trial')} by {facts.objective}: {number(rows[0].expected)} is to expect of "
        f"{rows[0].label}, {number(rows[-1].expected)} of {rows[-1].label}; "
        f"{sum(row.credible for row in rows)} of them may be best.",
        f"{line}; a ring is the mean over the folds as it was, a tick the score on the training rows. The point lies "
        "nearer to the middle than the ring: what stands out in a few folds is in part luck. Luck of the rows moves "
        "all trials alike, so lines that overlap do not by themselves mean that two trials are as good.",
        ("configuration", "to expect", RANGE, "mean over the folds", "training", "may be best"),
        [
            (
                row.label,
                number(row.expected),
                range_text(number, row.low, row.high),
                number(row.mean),
                number(row.train),
                "yes" if row.credible else "no",
            )
            for row in rows
        ],
    )


def _curves(gallery: Gallery) -> Plot | None:
    panels = gallery.panels()
    if not panels:
        return None
    rows = []
    for panel in panels:
        last = {curve.split: curve.mean[-1] for curve in panel.curves}
        rows.append(
            (
                panel.title,
                panel.metric,
                "" if panel.best_epoch is None else str(panel.best_epoch),
                *(f"{last[split]:.4g}" if split in last else "" for split in ("train", "validation")),
                panel.verdict,
            )
        )
    first = "The first is the best." if gallery.facts.recommended is None else "★ is the recommended configuration."
    many = any(curve.n_members > 1 for panel in panels for curve in panel.curves)
    band = "Lines are means over the folds, bands go from the lowest to the highest fold. " if many else ""
    return _plot(
        "curves",
        gallery.learning_curves(),
        f"Learning curves of {counted(len({panel.trial for panel in panels}), 'trial')}. "
        + " ".join(map(_in_words, panels)),
        f"{band}The dashed upright is the epoch that the final model is trained to. {first}",
        ("configuration", "metric", "best epoch", "training, last epoch", "validation, last epoch", "fit"),
        rows,
    )


def _in_words(panel: Panel) -> str:
    ends = [f"{curve.split} {panel.metric} ends at {curve.mean[-1]:.3g}" for curve in panel.curves]
    return f"{panel.title}: {', '.join([*ends, *([panel.verdict] if panel.verdict else [])])}."


def _health(gallery: Gallery) -> Plot | None:
    panels, facts = gallery.health_panels(), gallery.facts
    if not panels or gallery.chosen is None:
        return None
    rows = [
        (panel.title, layer.layer, *(f"{layer.mean[place]:.3g}" for place in (0, -1)))
        for panel in panels
        for layer in panel.layers
    ]
    dead = next((panel for panel in panels if panel.probe == "dead_units"), None)
    worst = max((float(layer.mean[-1]) for layer in dead.layers), default=0.0) if dead else 0.0
    return _plot(
        "health",
        gallery.health(),
        f"Activation health of {facts.labels[gallery.chosen]} by layer and epoch: {len(panels)} measures. "
        f"At the end at most {worst:.0%} of a layer's units are dead.",
        f"Measured in the networks of {facts.labels[gallery.chosen]}. A dead unit is zero on every validation row; "
        "a saturated output lies beyond 95 % of a bounded activation's range. "
        "Gradients and updates are of each layer's kernel at the last step of the epoch, and the last layer is the "
        "output. Bands go from the lowest to the highest fold.",
        ("measure", "layer", "first epoch", "last epoch"),
        rows,
    )


def _overview(gallery: Gallery) -> Plot | None:
    panels = gallery.overview_panels()
    if not panels:
        return None
    rows = []
    for panel in panels:
        number = "{:.3g}".format if panel.log else "{:.1%}".format
        rows += [(panel.title, name or "all", *map(number, ends)) for name, *ends in panel.summary()]
    by = panels[0].by
    return _plot(
        "health_overview",
        gallery.health_overview(),
        f"Activation health of {counted(max(len(panel.value) for panel in panels), 'trial')}"
        + (f" by {by}. " if by else ". ")
        + " ".join(f"{row[0]}, {row[1]}: {row[2]} to {row[4]}." for row in rows),
        "All trials after training, each a point"
        + (f", by {by}" if by else "")
        + ": the share of dead units and of saturated outputs in the worst layer, and the gradient of the first layer "
        "over that of the last in the first half of training. Beyond a dashed line, where there is one, it is a "
        "finding." + (" ★ is the recommended configuration." if gallery.facts.recommended is not None else ""),
        ("measure", by or "trials", "lowest", "median", "highest"),
        rows,
    )


def _interplay(gallery: Gallery) -> Plot | None:
    shares = gallery.shares()
    if not shares:
        return None
    first = shares[0]
    return _plot(
        "interplay",
        gallery.interplay(),
        f"Shares of the variation in score. {term_name(first.term)} accounts for {first.share:.0%}. "
        + ", ".join(f"{term_name(one.term)} {one.share:.0%}" for one in shares[1:])
        + ".",
        "How much of the variation in score between networks is due to each hyperparameter, to their interplay, and to "
        "folds and seeds. Whiskers hold the share with 95 %; one that begins at 0 may be nothing.",
        ("term", "share", RANGE),
        [
            (
                term_name(one.term),
                f"{one.share:.1%}",
                "" if math.isnan(one.low) else f"{one.low:.1%} to {one.high:.1%}",
            )
            for one in shares
        ],
    )


def _marginals(gallery: Gallery) -> Plot | None:
    panels, facts = gallery.marginal_panels(), gallery.facts
    if not panels:
        return None
    number = score_format([value for panel in panels for value in (*panel.best, *panel.mean)])
    rows, words = [], []
    for panel in panels:
        best = int(panel.best.argmax() if facts.direction == "maximize" else panel.best.argmin())
        words.append(f"{panel.title}: best with {panel.values[best]}, {number(panel.best[best])}.")
        rows += [
            (
                f"{panel.title} {panel.values[at]}",
                number(panel.best[at]),
                range_text(number, panel.best_low[at], panel.best_high[at]),
                number(panel.mean[at]),
                range_text(number, panel.low[at], panel.high[at]),
                str(panel.n_trials[at]),
            )
            for at in range(len(panel.values))
        ]
    left_out = len(facts.marginals) - len(panels)
    rest = f" Of {len(facts.marginals)} hyperparameters, those that matter most." if left_out > 0 else ""
    return _plot(
        "marginals",
        gallery.marginals(),
        f"What each hyperparameter does to {facts.objective}. " + " ".join(words),
        "What each value can do: the score to expect of the best trial that has it, the other hyperparameters chosen "
        "for it, and of the value over all others, with 95 % intervals. All panels have the same scale." + rest,
        ("value", "best trial", RANGE, "over all others", RANGE, "trials"),
        rows,
    )


def _pareto(gallery: Gallery) -> Plot | None:
    maps, facts = gallery.cost_maps(), gallery.facts
    if not maps or not len(maps[0].cost):
        return None
    number = score_format(maps[0].score)
    rows = [
        (one.cost_name, one.labels[place], f"{one.cost[place]:,.4g}", number(float(one.score[place])))
        for one in maps
        for place in range(len(one.cost))
        if one.front[place]
    ]
    return _plot(
        "pareto",
        gallery.pareto(),
        f"{facts.objective} over parameters and over training time of {counted(len(maps[0].cost), 'trial')}; "
        f"{int(maps[0].front.sum())} are on the Pareto front by parameters, {int(maps[-1].front.sum())} by time.",
        "Each point is a trial. The dotted line joins those that no other trial beats both in cost and in score.",
        ("cost", "configuration on the front", "value", facts.objective),
        rows[:60],
    )


PLOTS: dict[str, Callable[[Gallery], Plot | None]] = {
    "heatmap": _heatmap,
    "intervals": _intervals,
    "curves": _curves,
    "health": _health,
    "health_overview": _overview,
    "interplay": _interplay,
    "marginals": _marginals,
    "pareto": _pareto,
}
