"""What all figures share: colours, type, and an empty figure with a sentence.

Colours are told apart with every kind of colour vision, and stand out from a white sheet as from a dark one. Nothing
is told by colour alone: lines differ in dash, points in shape.
"""

from __future__ import annotations

import html
from typing import Any

import plotly.graph_objects as go

INK, MUTED, GRID = "#1c2126", "#5f6872", "#e4e7ea"
BLUE, ORANGE, GREY, GREEN = "#2f7fb8", "#d9622b", "#919aa3", "#1f9274"
TRAIN, VALIDATION = BLUE, ORANGE
TIED, NOT_TIED, RECOMMENDED = BLUE, GREY, ORANGE
LAYERS = (BLUE, ORANGE, GREEN, "#a0629a", "#b58a00", "#5b6fc0", "#8c6d5a", GREY)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")
# One hue, light to dark: the order survives a grey print.
SCALE = ("#e9f0f6", "#bdd5e7", "#84b3d4", "#4488bb", "#13568c")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"

_AXIS = {
    "gridcolor": GRID,
    "zeroline": False,
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
    return empty


def safe(text: object) -> str:
    """Text for Plotly, which reads some HTML in its labels."""
    return html.escape(str(text), quote=False)


def rgba(color: str, alpha: float) -> str:
    """A colour made transparent.

    Example:
        >>> rgba("#ff8000", 0.5)
        'rgba(255,128,0,0.5)'
    """
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"
