"""Figures of training: learning curves, and the health of activations by layer and epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from plotly.subplots import make_subplots

from unitune.report import colors
from unitune.report.draw import theme
from unitune.report.numbers import log_ticks, short
from unitune.report.prepared.curves import Curve, Panel
from unitune.report.prepared.health import HealthPanel

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLUMNS = 2
PANEL_HEIGHT = 264
DASH = {"train": "dot", "validation": "solid"}
COLOR = {"train": colors.TRAIN, "validation": colors.VALIDATION}


def draw_curves(panels: Sequence[Panel], *, standardised: bool = False) -> go.Figure:
    """Panels of learning curves: mean over the folds, the band from the lowest to the highest fold, the best epoch."""
    if not panels:
        return theme.nothing("No finite values were recorded.")
    figure = _small_multiples([_heading(panel) for panel in panels])
    named: set[str] = set()
    for index, panel in enumerate(panels):
        place = {"row": index // COLUMNS + 1, "col": index % COLUMNS + 1}
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
            title_text="epoch",
            range=[1 - 0.03 * last, last + 0.03 * last],
            tickformat="d",
            **({"tickvals": list(range(1, last + 1))} if last <= 10 else {"nticks": 6}),
            **place,
        )
        unit = " (standardised target)" if standardised else ""
        figure.update_yaxes(title_text=theme.safe(panel.metric) + unit, nticks=5, **place)
    return figure


def draw_health(panels: Sequence[HealthPanel]) -> go.Figure:
    """A panel for each probe, a line for each layer, the band from the lowest to the highest fold."""
    if not panels:
        return theme.nothing("Nothing was measured inside the networks of this run.")
    figure = _small_multiples([f"<b>{panel.title}</b>" for panel in panels])
    names = list(dict.fromkeys(layer.layer for panel in panels for layer in panel.layers))
    named: set[str] = set()
    for index, panel in enumerate(panels):
        place = {"row": index // COLUMNS + 1, "col": index % COLUMNS + 1}
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
        figure.update_xaxes(title_text="epoch", tickformat="d", nticks=6, **place)
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


def _heading(panel: Panel) -> str:
    verdict = f"<br>{theme.safe(panel.verdict)}" if panel.verdict else ""
    return f"<b>{theme.safe(short(panel.title))}</b>{verdict}"


def _small_multiples(headings: Sequence[str]) -> go.Figure:
    rows = -(-len(headings) // COLUMNS)
    height = PANEL_HEIGHT * rows + 40
    figure = make_subplots(
        rows=rows,
        cols=COLUMNS,
        subplot_titles=headings,
        horizontal_spacing=0.1,
        vertical_spacing=0.0 if rows == 1 else min(0.9 / (rows - 1), 104 / (height - 120)),
    )
    figure.update_layout(
        template=theme.TEMPLATE,
        height=height,
        margin={"l": 60, "r": 12, "t": 80, "b": 50},
        legend={"y": 1 + 44 / (height - 130)},
        meta={"stack": len(headings), "stacked_height": PANEL_HEIGHT * len(headings) + 60},
    )
    for number, annotation in enumerate(figure.layout.annotations):
        axis = figure.get_subplot(number // COLUMNS + 1, number % COLUMNS + 1).xaxis
        annotation.update(font={"size": 13}, x=axis.domain[0], xanchor="left", yshift=4, align="left")
    for index in range(len(headings), rows * COLUMNS):
        place = {"row": index // COLUMNS + 1, "col": index % COLUMNS + 1}
        figure.update_xaxes(visible=False, **place)
        figure.update_yaxes(visible=False, **place)
    return figure


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
