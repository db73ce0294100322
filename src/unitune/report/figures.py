"""The pictures of a run folder, as PNG bytes. Colours are told apart with every kind of colour vision."""

from __future__ import annotations

import io
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from unitune.report.colors import INK, MUTED, SCALE, TRAIN, VALIDATION, ink_on
from unitune.report.prepared.curves import Curve, curves, shown_metrics
from unitune.report.prepared.heatmap import Grid, units_by_activation

COLORS = {"train": TRAIN, "validation": VALIDATION}
DPI = 150
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": "#b8b8b8",
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def learning_curves_png(
    history: pd.DataFrame, *, title: str, best_epoch: int | None = None, standardised: bool = False
) -> bytes:
    """Loss and metric over the epochs of one trial: the mean over its members, and the band between the extremes.

    Args:
        history: Of one trial, in long form.
        title: What the trial is.
        best_epoch: The epoch for which the final model is trained, marked by a line.
        standardised: Whether the values are in standard deviations of the target, which the axis then says.
    """
    metrics = [metric for metric in shown_metrics(history) if curves(history, metric)]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2 * max(1, len(metrics)), 3.9), layout="constrained")
        if not metrics:
            figure.text(0.5, 0.5, "no finite values were recorded", ha="center", color=MUTED)
        for number, metric in enumerate(metrics, 1):
            axes = figure.add_subplot(1, len(metrics), number)
            _draw_curves(
                axes, curves(history, metric), f"{metric} (standardised target)" if standardised else metric, best_epoch
            )
        heading = f"Learning curves of {title}" if title else "Learning curves"
        many = any(curve.n_members > 1 for metric in metrics for curve in curves(history, metric))
        band = "\nline: mean over the folds; band: from the lowest to the highest fold" if many else ""
        figure.suptitle(f"{heading}{band}", x=0.012, ha="left", fontsize=10.5, color=INK)
        return _png(figure)


def units_by_activation_png(table: pd.DataFrame, *, objective: str, direction: str) -> bytes:
    """A heat map of the score to expect by units and activation.

    Args:
        table: A row for each trial, with the columns `mean`, `expected`, `units` and `activation` (or those of
            layer 1).
        objective: The name of the score.
        direction: Darker is better, whichever that is.
    """
    grid = units_by_activation(table, direction)
    with matplotlib.rc_context(STYLE):
        if grid is None:
            figure = Figure(figsize=(6.0, 2.0), layout="constrained")
            figure.text(0.5, 0.5, "neither units nor activations were part of this run", ha="center", color=MUTED)
            return _png(figure)
        wide, high = len(grid.columns), len(grid.rows)
        figure = Figure(
            figsize=(min(16.0, max(4.8, 2.6 + 0.85 * wide)), max(2.4, 1.7 + 0.5 * high)), layout="constrained"
        )
        draw_grid(figure, grid, objective, direction)
        return _png(figure)


def _draw_curves(axes: Any, found: tuple[Curve, ...], metric: str, best_epoch: int | None) -> None:
    last = max(int(curve.epoch[-1]) for curve in found)
    for curve in found:
        color = COLORS[curve.split]
        if curve.n_members > 1:
            axes.fill_between(curve.epoch, curve.low, curve.high, color=color, alpha=0.15, linewidth=0)
        marker = "o" if last <= 15 else None
        axes.plot(curve.epoch, curve.mean, color=color, linewidth=2, marker=marker, markersize=3.5)
    axes.set_xlim(1 - 0.02 * last, last + 0.02 * last)
    axes.set_xlabel("epoch")
    axes.set_ylabel(metric, fontweight="bold")
    if last <= 12:
        axes.set_xticks(range(1, last + 1))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.grid(axis="y", color="#ececec", linewidth=0.8)
    axes.set_axisbelow(True)
    if best_epoch is not None and 1 <= best_epoch < last:
        axes.axvline(best_epoch, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            f"kept: epoch {best_epoch}",
            (best_epoch, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8,
            color=MUTED,
        )
    _label_ends(axes, found)


def _label_ends(axes: Any, found: tuple[Curve, ...]) -> None:
    """Names each line at its end, pushed apart where the ends are close."""
    low, high = axes.get_ylim()
    ends = sorted(found, key=lambda curve: float(curve.mean[-1]))
    places = [float(curve.mean[-1]) for curve in ends]
    room = 0.07 * (high - low)
    if len(places) == 2 and places[1] - places[0] < room:
        middle = sum(places) / 2
        places = [middle - room / 2, middle + room / 2]
    for curve, place in zip(ends, places, strict=True):
        axes.annotate(
            curve.split,
            (1.0, place),
            xycoords=("axes fraction", "data"),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            fontweight="bold",
            color=COLORS[curve.split],
            annotation_clip=False,
        )


def draw_grid(figure: Figure, grid: Grid, objective: str, direction: str) -> None:
    """Draws a heat map into an empty figure."""
    axes = figure.add_subplot()
    # Darker is better, so the scale turns round where less is more.
    colors = LinearSegmentedColormap.from_list("units", SCALE[:: 1 if direction == "maximize" else -1]).with_extremes(
        bad="#f2f2f2"
    )
    image = axes.imshow(np.ma.masked_invalid(grid.values), cmap=colors, aspect="auto")
    axes.set_xticks(range(len(grid.columns)), grid.columns)
    axes.set_yticks(range(len(grid.rows)), grid.rows)
    axes.set_xlabel(_axis_label(grid.column_name))
    axes.set_ylabel(_axis_label(grid.row_name))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks(np.arange(len(grid.columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(grid.rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    finite = grid.values[np.isfinite(grid.values)]
    best = finite.max() if direction == "maximize" else finite.min()
    digits = _digits(finite)
    for (row, column), value in np.ndenumerate(grid.values):
        if not np.isfinite(value):
            continue
        axes.text(
            column,
            row,
            f"{value:.{digits}f}",
            ha="center",
            va="center",
            fontsize=9,
            fontweight="bold" if value == best else "normal",
            color=ink_on(to_hex(image.cmap(image.norm(value)))),
        )
    aim = "higher" if direction == "maximize" else "lower"
    figure.suptitle(
        f"{objective} to expect by {_axis_label(grid.column_name)} and {_axis_label(grid.row_name)}\n"
        f"of the best trial in each cell; {aim} is better",
        x=0.012,
        ha="left",
        fontsize=10.5,
        color=INK,
    )
    bar = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8)
    bar.set_label(objective)


def _axis_label(name: str) -> str:
    base, _, layer = name.partition("_")
    return f"{base} of layer {layer}" if layer else base


def _digits(values: Any) -> int:
    """Decimals that tell the values of a map apart, three significant ones at least."""
    spread = float(values.max() - values.min())
    size = float(np.abs(values).max())
    smallest = min(spread / 20 if spread > 0 else size, size / 100 if size > 0 else 1.0)
    return int(np.clip(np.ceil(-np.log10(smallest)) if smallest > 0 else 3, 0, 5))


def _png(figure: Figure) -> bytes:
    return image(figure, "png")


def image(figure: Figure, kind: str) -> bytes:
    """A figure as the bytes of a PNG or SVG file: the same run gives the same bytes."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    # No date and no version inside, and ids that are not random.
    unsaid: dict[str, Any] = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
    with matplotlib.rc_context({"svg.hashsalt": "unitune", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=kind, dpi=DPI, facecolor="white", metadata=unsaid)
    return buffer.getvalue()
