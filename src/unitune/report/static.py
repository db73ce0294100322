"""The figures of the report as PNG or SVG, drawn with Matplotlib from the same prepared data.

Plotly needs a browser to make a picture. These need none, and the same run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.ticker import MaxNLocator

from unitune.report import colors, figures
from unitune.report.draw.parts import KINDS, term_name
from unitune.report.draw.training import COLOR, DASH, limits_near
from unitune.report.gallery import Gallery
from unitune.report.numbers import in_lines, log_ticks, short
from unitune.report.prepared.architecture import shape_text
from unitune.report.prepared.heatmap import outline
from unitune.report.prepared.intervals import TOP

LINES = {"solid": "-", "dot": ":", "dash": "--", "dashdot": "-."}


def picture(gallery: Gallery, name: str, kind: str, **options: Any) -> bytes:
    """One figure as the bytes of a file.

    Args:
        gallery: The figures of a run.
        name: One of `DRAWINGS`.
        kind: `"png"` or `"svg"`.
        options: What the figure takes: `top` trials of the intervals, the `trial` of the learning curves and of the
            health, the `hyperparameter` of the marginals.
    """
    with matplotlib.rc_context(figures.STYLE):
        return figures.image(DRAWINGS[name](gallery, **options), kind)


def _sheet(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def _nothing(sentence: str) -> Figure:
    figure = _sheet(6, 1.4)
    figure.text(0.5, 0.5, sentence, ha="center", color=colors.MUTED)
    return figure


def _heatmap(gallery: Gallery) -> Figure:
    grid, facts = gallery.grid(), gallery.facts
    if grid is None:
        return _nothing("neither units nor activations were part of this run")
    figure = _sheet(max(4.8, 2.6 + 0.85 * len(grid.columns)), max(2.4, 1.7 + 0.5 * len(grid.rows)))
    figures.draw_grid(figure, grid, facts.objective, facts.direction)
    if facts.credible and not grid.credible[np.isfinite(grid.values)].all():
        for (x0, y0), (x1, y1) in outline(grid.credible):
            figure.axes[0].plot([x0, x1], [y0, y1], color=colors.ORANGE, linewidth=2.5, clip_on=False, zorder=5)
    return figure


def _intervals(gallery: Gallery, top: int = TOP) -> Figure:
    rows, facts = gallery.interval_rows(top), gallery.facts
    if not rows:
        return _nothing("no trial has a score")
    labels = ["\n".join(lines) for lines in in_lines({row.trial: row.label for row in rows})]
    figure = _sheet(8, 1.0 + (0.38 if any("\n" in label for label in labels) else 0.27) * len(labels))
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        color = colors.RECOMMENDED if row.recommended else colors.CREDIBLE if row.credible else colors.BEHIND
        axes.plot([row.low, row.high], [place, place], color=color, linewidth=1.8)
        axes.plot(row.mean, place, "o", color=colors.GREY, markerfacecolor="none", markersize=7)
        axes.plot(
            row.expected, place, "*" if row.recommended else "o", color=color, markersize=11 if row.recommended else 6
        )
        axes.plot(row.train, place, "|", color=colors.GREY, markersize=9)
    _bars(axes, labels, facts.objective)
    return figure


def _bars(axes: Any, labels: Sequence[str], title: str) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel(title)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=colors.GRID)
    axes.set_axisbelow(True)


def _panels(n: int) -> tuple[Figure, list[Any]]:
    columns = min(2, n)
    figure = _sheet(4.9 * columns, 2.9 * -(-n // columns))
    return figure, [figure.add_subplot(-(-n // columns), columns, place + 1) for place in range(n)]


def _over_epochs(axes: Any) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))


def _curves(gallery: Gallery, trial: int | None = None) -> Figure:
    panels = gallery.panels(trial)
    if not panels:
        return _nothing("no finite values were recorded")
    figure, places = _panels(len(panels))
    for axes, panel in zip(places, panels, strict=True):
        for curve in panel.curves:
            color = COLOR[curve.split]
            axes.fill_between(curve.epoch, curve.low, curve.high, color=color, alpha=0.15, linewidth=0)
            axes.plot(curve.epoch, curve.mean, LINES[DASH[curve.split]], color=color, linewidth=2, label=curve.split)
        if panel.best_epoch is not None:
            axes.axvline(panel.best_epoch, color=colors.MUTED, linewidth=1, linestyle="--")
        axes.set_title(panel.title + (f"\n{panel.verdict}" if panel.verdict else ""), fontsize=9.5)
        _over_epochs(axes)
        axes.set_ylabel(panel.metric)
        axes.grid(axis="y", color=colors.GRID)
    places[0].legend(frameon=False, fontsize=9)
    return figure


def _health(gallery: Gallery, trial: int | None = None) -> Figure:
    panels = gallery.health_panels(trial)
    if not panels:
        return _nothing("nothing was measured inside the networks of this run")
    names = list(dict.fromkeys(layer.layer for panel in panels for layer in panel.layers))
    figure, places = _panels(len(panels))
    for axes, panel in zip(places, panels, strict=True):
        for layer in panel.layers:
            number = names.index(layer.layer)
            color = colors.LAYERS[number % len(colors.LAYERS)]
            style = LINES.get(colors.DASHES[number % len(colors.DASHES)], "-")
            axes.fill_between(layer.epoch, layer.low, layer.high, color=color, alpha=0.15, linewidth=0)
            axes.plot(layer.epoch, layer.mean, style, color=color, linewidth=2, label=layer.layer)
        axes.set_title(panel.title, fontsize=9.5)
        _over_epochs(axes)
        if panel.log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0, top=max(0.1, 1.08 * max(float(layer.high.max()) for layer in panel.layers)))
        axes.grid(axis="y", color=colors.GRID)
        axes.legend(frameon=False, fontsize=8)
    return figure


def _overview(gallery: Gallery) -> Figure:
    panels = gallery.overview_panels()
    if not panels:
        return _nothing("nothing was measured inside the networks of this run")
    figure, places = _panels(len(panels))
    for axes, panel in zip(places, panels, strict=True):
        chosen = panel.recommended
        axes.plot(panel.value[~chosen], panel.place[~chosen], "o", color=colors.BLUE, alpha=0.75, markersize=5)
        axes.plot(panel.value[chosen], panel.place[chosen], "*", color=colors.RECOMMENDED, markersize=12)
        for limit in limits_near(panel):
            axes.axvline(limit, color=colors.MUTED, linewidth=1, linestyle="--")
        axes.set_ylim(len(panel.groups) - 0.5, -0.5)
        axes.set_yticks(range(len(panel.groups)), [short(name, 18) for name in panel.groups])
        axes.set_title(panel.title, fontsize=9.5)
        if panel.log:
            axes.set_xscale("log")
        else:
            axes.set_xlim(left=-0.003, right=max(0.1, 1.06 * max(float(panel.value.max()), *limits_near(panel), 0.0)))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.grid(axis="x", color=colors.GRID)
    return figure


def _marginals(gallery: Gallery, hyperparameter: str | None = None) -> Figure:
    panels = gallery.marginal_panels(hyperparameter)
    if not panels:
        return _nothing("no hyperparameter of this run has two values to compare")
    figure, places = _panels(len(panels))
    for axes, panel in zip(places, panels, strict=True):
        at = np.arange(len(panel.values), dtype=float)
        series = [("best trial with the value", colors.BLUE, "o", panel.best, panel.best_low, panel.best_high)]
        if not panel.alone:
            series.append(("mean of all trials with it", colors.GREY, "D", panel.mean, panel.low, panel.high))
        for number, (label, color, mark, values, low, high) in enumerate(series):
            x = at + (0.08 * (2 * number - 1) if len(series) > 1 else 0)
            axes.vlines(x, low, high, color=color, linewidth=1.6)
            axes.plot(x, values, mark + (("-", ":")[number] if panel.ordered else ""), color=color, label=label)
        axes.set_xticks(at, [short(value, 14) for value in panel.values])
        axes.set_xlim(-0.5, len(at) - 0.5)
        axes.set_title(panel.title, fontsize=9.5)
        axes.set_ylabel(gallery.facts.objective)
        axes.grid(axis="y", color=colors.GRID)
        if axes is not places[0]:
            axes.sharey(places[0])
    places[0].legend(frameon=False, fontsize=8)
    return figure


def _interplay(gallery: Gallery) -> Figure:
    shares = gallery.shares()
    if not shares:
        return _nothing("the scores of this run were not decomposed")
    figure = _sheet(8, 1.0 + 0.3 * len(shares))
    axes = figure.add_subplot()
    for place, one in enumerate(shares):
        axes.barh(place, one.share, height=0.58, color=KINDS[one.kind][1])
        axes.plot([one.low, one.high], [place, place], color=colors.INK, linewidth=1.2)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    _bars(axes, [term_name(one.term) for one in shares], "share of the variation in score")
    return figure


def _pareto(gallery: Gallery) -> Figure:
    maps = gallery.cost_maps()
    if not maps or not len(maps[0].cost):
        return _nothing("no trial has a score")
    figure, places = _panels(len(maps))
    for axes, one in zip(places, maps, strict=True):
        axes.step(one.cost[one.front], one.score[one.front], where="post", color=colors.MUTED, linestyle=":")
        other = ~one.credible & ~one.recommended
        axes.plot(one.cost[other], one.score[other], "o", color=colors.BEHIND, markerfacecolor="none", markersize=5)
        axes.plot(
            one.cost[one.credible],
            one.score[one.credible],
            "o",
            color=colors.CREDIBLE,
            markersize=6,
            label="may be the best",
        )
        axes.plot(
            one.cost[one.recommended],
            one.score[one.recommended],
            "*",
            color=colors.RECOMMENDED,
            markersize=13,
            label="recommended",
        )
        axes.set_xlabel(one.cost_name)
        axes.set_ylabel(gallery.facts.objective)
        if one.cost.min() > 0 and one.cost.max() > 5 * one.cost.min():
            axes.set_xscale("log")
            ticks = log_ticks(float(one.cost.min()), float(one.cost.max()))
            axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
            axes.minorticks_off()
        axes.grid(color=colors.GRID)
        axes.set_axisbelow(True)
    if maps[0].credible.any():
        places[0].legend(frameon=False, fontsize=8)
    return figure


def _architecture(gallery: Gallery) -> Figure:
    diagram = gallery.diagram()
    if diagram is None:
        return _nothing("the layers of this network are not known")
    figure = Figure(figsize=(diagram.width / 80, diagram.height / 80))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, diagram.width)
    axes.set_ylim(diagram.height, 0)
    axes.axis("off")
    for block in diagram.blocks:
        alpha = 0.9 if block.layer.n_parameters else 0.3
        axes.add_patch(Polygon(block.corners, facecolor=colors.BLUE, alpha=alpha))
        x, y = block.text
        axes.text(x, y, f"{block.layer.name} {block.layer.detail}", fontsize=10, fontweight="bold")
        axes.text(x, y + 17, shape_text(block.layer), fontsize=9, color=colors.MUTED)
    return figure


DRAWINGS: dict[str, Callable[..., Figure]] = {
    "heatmap": _heatmap,
    "intervals": _intervals,
    "learning_curves": _curves,
    "health": _health,
    "health_overview": _overview,
    "interplay": _interplay,
    "marginals": _marginals,
    "pareto": _pareto,
    "architecture": _architecture,
}
"""Every figure of `result.plot`, by its name."""
