"""The colours of all figures.

They are told apart with every kind of colour vision, and stand out from a white sheet as from a dark one. Nothing is
told by colour alone: lines differ in dash, points in shape.
"""

from __future__ import annotations

from collections.abc import Sequence

INK, MUTED, GRID = "#1c2126", "#5f6872", "#e4e7ea"
BLUE, ORANGE, GREY, GREEN = "#2f7fb8", "#d9622b", "#919aa3", "#1f9274"
TRAIN, VALIDATION = BLUE, ORANGE
CREDIBLE, BEHIND, RECOMMENDED = BLUE, GREY, ORANGE
LAYERS = (BLUE, ORANGE, GREEN, "#a0629a", "#b58a00", "#5b6fc0", "#8c6d5a", GREY)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")
# One hue, light to dark: the order survives a grey print.
SCALE = ("#e9f0f6", "#bdd5e7", "#84b3d4", "#4488bb", "#13568c")


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
