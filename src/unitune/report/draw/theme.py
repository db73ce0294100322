"""What all figures of Plotly share: type, axes, and an empty figure with a sentence."""

from __future__ import annotations

import html
from typing import Any

import plotly.graph_objects as go

from unitune.report.colors import GRID, INK, MUTED

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
