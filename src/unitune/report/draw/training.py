"""Figures of training: learning curves, and the health of activations by layer and epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.report import colors
from unitune.report.draw import theme
from unitune.report.numbers import log_ticks, short
from unitune.report.prepared.curves import Curve, Panel
from unitune.report.prepared.health import HealthPanel
from unitune.report.prepared.overview import OverviewPanel

if TYPE_CHECKING:
    import plotly.graph_objects as go

DASH = {"train": "dot", "validation": "solid"}
COLOR = {"train": colors.TRAIN, "validation": colors.VALIDATION}


def draw_curves(panels: Sequence[Panel], *, standardised: bool = False) -> go.Figure:
    """Panels of learning curves: mean over the folds, the band from the lowest to the highest fold, the best epoch."""
    if not panels:
        return theme.nothing("No finite values were recorded.")
    figure = theme.small_multiples([_heading(panel) for panel in panels])
    named: set[str] = set()
    for index, panel in enumerate(panels):
        place = theme.panel(index)
        for curve in panel.curves:
            color = COLOR[curve.split]
            if curve.n_members > 1:
                _band(figure, curve, color, place)
            figure.add_scatter(
                x=curve.epoch,
                y=curve.mean,
                mode="lines+markers" if len(curve.epoch) == 1 else "lines",
                name="training" if curve.split == "train" else "validation",
                legendgroup=curve.split,
                showlegend=curve.split not in named,
                line={"color": color, "width": 2.2, "dash": DASH[curve.split]},
                hovertemplate=f"epoch %{{x}}: {curve.split} {panel.metric} %{{y:.4g}}<extra></extra>",
                **place,
            )
            named.add(curve.split)
        if panel.best_epoch is not None:
            figure.add_vline(x=panel.best_epoch, line={"color": colors.MUTED, "width": 1, "dash": "dash"}, **place)
        last = max(int(curve.epoch[-1]) for curve in panel.curves)
        figure.update_xaxes(
            title_text="epoch", range=[1 - 0.03 * last, last + 0.03 * last], **_whole_ticks(last), **place
        )
        unit = " (standardised target)" if standardised else ""
        figure.update_yaxes(title_text=theme.safe(panel.metric) + unit, nticks=5, **place)
    return figure


def draw_health(panels: Sequence[HealthPanel]) -> go.Figure:
    """A panel for each probe, a line for each layer, the band from the lowest to the highest fold."""
    if not panels:
        return theme.nothing("Nothing was measured inside the networks of this run.")
    figure = theme.small_multiples([f"<b>{panel.title}</b>" for panel in panels])
    names = list(dict.fromkeys(layer.layer for panel in panels for layer in panel.layers))
    named: set[str] = set()
    for index, panel in enumerate(panels):
        place = theme.panel(index)
        for layer in panel.layers:
            number = names.index(layer.layer)
            color = colors.LAYERS[number % len(colors.LAYERS)]
            _band(figure, layer, color, place)
            figure.add_scatter(
                x=layer.epoch,
                y=layer.mean,
                mode="lines",
                name=theme.safe(layer.layer),
                legendgroup=layer.layer,
                showlegend=layer.layer not in named,
                line={"color": color, "width": 2.2, "dash": colors.DASHES[number % len(colors.DASHES)]},
                hovertemplate=f"{theme.safe(layer.layer)}, epoch %{{x}}: %{{y:.3g}}<extra></extra>",
                **place,
            )
            named.add(layer.layer)
        last = max((int(layer.epoch[-1]) for layer in panel.layers), default=1)
        figure.update_xaxes(title_text="epoch", **_whole_ticks(last), **place)
        if panel.log:
            ends = [value for layer in panel.layers for value in (*layer.low, *layer.high) if value > 0]
            ticks = log_ticks(min(ends, default=1.0), max(ends, default=1.0))
            figure.update_yaxes(type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks], **place)
        else:
            top = max(float(layer.high.max()) for layer in panel.layers)
            figure.update_yaxes(
                range=[-0.02 * max(top, 0.1), max(1.08 * top, 0.104)], tickformat=".0%", nticks=5, **place
            )
    return figure


def draw_overview(panels: Sequence[OverviewPanel]) -> go.Figure:
    """A panel for each measure, a point for each trial, trials of one activation on one line; a star is the
    recommended trial, and beyond the dashed upright a measure is a finding."""
    if not panels:
        return theme.nothing("Nothing was measured inside the networks of this run.")
    figure = theme.small_multiples([f"<b>{panel.title}</b>" for panel in panels], titled=False)
    for index, panel in enumerate(panels):
        place = theme.panel(index)
        kinds = (
            ("trial", colors.BLUE, "circle", 8, ~panel.recommended),
            ("recommended", colors.RECOMMENDED, "star", 13, panel.recommended),
        )
        for name, color, symbol, size, chosen in kinds:
            points = np.flatnonzero(chosen)
            if not len(points):
                continue
            text = "%{x:.3g}" if panel.log else "%{x:.1%}"
            figure.add_scatter(
                x=panel.value[points],
                y=panel.place[points],
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=index == 0,
                marker={"symbol": symbol, "size": size, "color": colors.rgba(color, 0.75 if symbol == "circle" else 1)},
                hovertext=[f"<b>{theme.safe(panel.labels[point])}</b>" for point in points],
                hovertemplate=f"%{{hovertext}}<br>{text}<extra></extra>",
                **place,
            )
        ends = [*panel.value, *limits_near(panel)]
        for limit in limits_near(panel):
            figure.add_vline(x=limit, line={"color": colors.MUTED, "width": 1, "dash": "dash"}, **place)
        if panel.log:
            ticks = log_ticks(min(ends), max(ends))
            figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks], **place)
        else:
            top = max(*ends, 0.1)
            figure.update_xaxes(range=[-0.03 * top, 1.06 * top], tickformat=".0%", nticks=5, **place)
        figure.update_yaxes(
            tickvals=list(range(len(panel.groups))),
            ticktext=[theme.safe(short(name, 18)) for name in panel.groups],
            range=[len(panel.groups) - 0.5, -0.5],
            fixedrange=True,
            tickfont={"color": colors.INK},
            **place,
        )
    return figure


def limits_near(panel: OverviewPanel) -> list[float]:
    """The limits that a trial is beyond, or near: one far from all of them would squeeze the points together."""
    low, high = float(panel.value.min()), float(panel.value.max())
    if not panel.log:
        return [limit for limit in panel.limits if limit <= max(2 * high, 0.1)]
    return [limit for limit in panel.limits if low / 10 <= limit <= high * 10]


def _whole_ticks(last: int) -> dict[str, Any]:
    """Ticks of an axis from 1 to a whole number: Plotly's own stand at halves where there are few."""
    return {"tickformat": "d", **({"tickvals": list(range(1, last + 1))} if last <= 10 else {"nticks": 6})}


def _heading(panel: Panel) -> str:
    verdict = f"<br>{theme.safe(panel.verdict)}" if panel.verdict else ""
    return f"<b>{theme.safe(panel.title)}</b>{verdict}"


def _band(figure: go.Figure, curve: Any, color: str, place: dict[str, int]) -> None:
    """The area between the lowest and the highest member."""
    figure.add_scatter(
        x=[*curve.epoch, *curve.epoch[::-1]],
        y=[*curve.high, *curve.low[::-1]],
        fill="toself",
        fillcolor=colors.rgba(color, 0.16),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        legendgroup=curve.split if isinstance(curve, Curve) else curve.layer,
        **place,
    )
