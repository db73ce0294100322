"""What all figures share: colours, type, and an empty figure with a sentence.

Colours are told apart with every kind of colour vision, and stand out from a white sheet as from a dark one. Nothing
is told by colour alone: lines differ in dash, points in shape.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
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
    return empty


def safe(text: object) -> str:
    """Text for Plotly, which reads some HTML in its labels."""
    return html.escape(str(text), quote=False)


def short(text: str, length: int = 46) -> str:
    """Text that ends in an ellipsis where it is too long for a label.

    Example:
        >>> short("units 64, gelu", 9)
        'units 64…'
    """
    return text if len(text) <= length else text[: length - 1].rstrip(", ") + "…"


def rgba(color: str, alpha: float) -> str:
    """A colour made transparent.

    Example:
        >>> rgba("#ff8000", 0.5)
        'rgba(255,128,0,0.5)'
    """
    red, green, blue = _channels(color)
    return f"rgba({red},{green},{blue},{alpha:g})"


def at(scale: Sequence[str], level: float) -> str:
    """The colour of a scale at a level from 0 to 1.

    Example:
        >>> at(("#000000", "#ffffff"), 0.5)
        '#808080'
    """
    place = min(max(level, 0.0), 1.0) * (len(scale) - 1)
    first = min(int(place), len(scale) - 2)
    pairs = zip(_channels(scale[first]), _channels(scale[first + 1]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * (place - first)):02x}" for a, b in pairs)


def ink_on(color: str) -> str:
    """White or black, whichever is easier to read on a colour.

    Example:
        >>> ink_on("#13568c"), ink_on("#e9f0f6")
        ('#ffffff', '#000000')
    """
    red, green, blue = (
        channel / 255 / 12.92 if channel <= 10 else ((channel / 255 + 0.055) / 1.055) ** 2.4
        for channel in _channels(color)
    )
    # Contrast by WCAG 2: black and white are equal at 0.179.
    return "#ffffff" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.179 else "#000000"


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers for a logarithmic axis, at most seven.

    Example:
        >>> log_ticks(513, 8193), log_ticks(3, 20_000)
        ([500.0, 1000.0, 2000.0, 5000.0, 10000.0], [1.0, 10.0, 100.0, 1000.0, 10000.0, 100000.0])
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    fine = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in (1, 2, 5)]
    below = max((tick for tick in fine if tick <= low), default=fine[0])
    above = min((tick for tick in fine if tick >= high), default=fine[-1])
    fine = [tick for tick in fine if below <= tick <= above]
    return fine if len(fine) <= 7 else [float(f"1e{power}") for power in range(first, last + 1)]
