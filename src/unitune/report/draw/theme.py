"""What all figures of Plotly share: type, axes, and an empty figure with a sentence."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from unitune.report.colors import GRID, INK, MUTED

COLUMNS = 2
PANEL_HEIGHT = 264
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"

_AXIS = {
    "gridcolor": GRID,
    "zeroline": False,
    "ticks": "",
    "showline": False,
    "automargin": True,
    "tickfont": {"size": 12, "color": MUTED},
    "title": {"standoff": 10, "font": {"size": 12, "color": MUTED}},
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 64, "r": 16, "t": 36, "b": 52},
        "hoverlabel": {"bgcolor": "#1c2126", "bordercolor": "#1c2126", "font": {"color": "#ffffff", "family": FONT}},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom", "font": {"size": 12}},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "annotationdefaults": {"font": {"size": 12, "color": INK}, "showarrow": False},
    }
)


def figure(height: int, **layout: Any) -> go.Figure:
    """An empty figure of `height` pixels, as wide as what it stands in."""
    return go.Figure(layout={"template": TEMPLATE, "height": height, "autosize": True, **layout})


def small_multiples(headings: Sequence[str], *, titled: bool = True) -> go.Figure:
    """Panels of two columns under headings; on a phone the page stands them one below the other.

    Args:
        headings: One for each panel.
        titled: Whether the horizontal axes have titles, which need room.
    """
    columns = min(COLUMNS, len(headings))
    rows = -(-len(headings) // columns)
    height = PANEL_HEIGHT * rows + 40
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=headings,
        horizontal_spacing=0.1,
        vertical_spacing=0.0 if rows == 1 else min(0.9 / (rows - 1), 104 / (height - 120)),
    )
    figure.update_layout(
        template=TEMPLATE,
        height=height,
        margin={"l": 60, "r": 12, "t": 80, "b": 50 if titled else 30},
        legend={"y": 1 + 44 / (height - 130)},
        meta={"stack": len(headings), "stacked_height": PANEL_HEIGHT * len(headings) + 60},
    )
    for number, annotation in enumerate(figure.layout.annotations):
        place = panel(number)
        axis = figure.get_subplot(place["row"], place["col"]).xaxis
        annotation.update(font={"size": 13}, x=axis.domain[0], xanchor="left", yshift=4, align="left")
    for index in range(len(headings), rows * columns):
        figure.update_xaxes(visible=False, **panel(index))
        figure.update_yaxes(visible=False, **panel(index))
    return figure


def panel(index: int) -> dict[str, int]:
    """Where the panel with this index, from 0, stands among `small_multiples`."""
    return {"row": index // COLUMNS + 1, "col": index % COLUMNS + 1}


def nothing(sentence: str) -> go.Figure:
    """A figure that says why there is nothing to see."""
    empty = figure(120, xaxis={"visible": False}, yaxis={"visible": False})
    empty.add_annotation(text=safe(sentence), x=0.5, y=0.5, xref="paper", yref="paper", font={"color": MUTED})
    # Without a trace, some renderers draw no axes.
    empty.add_scatter(x=[None], y=[None], showlegend=False, hoverinfo="skip")
    return empty


def safe(text: object) -> str:
    """Text for Plotly, which reads some HTML in its labels."""
    return html.escape(str(text), quote=False)
