"""Figures of what a score is made of, and of what a network is made of."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unitune.report import colors
from unitune.report.draw import theme
from unitune.report.numbers import axis_name, short
from unitune.report.prepared.architecture import Diagram, shape_text
from unitune.report.prepared.interplay import Share

if TYPE_CHECKING:
    import plotly.graph_objects as go

KINDS = {
    "single": ("one hyperparameter", colors.BLUE),
    "joint": ("interplay", colors.ORANGE),
    "noise": ("folds and seeds", colors.GREY),
}


def term_name(term: str) -> str:
    """A term of the decomposition in words."""
    return " × ".join(axis_name(part.strip()) for part in term.replace("×", " x ").split(" x "))


def draw_interplay(shares: Sequence[Share]) -> go.Figure:
    """How much of the variation in score each term accounts for, with 95 % intervals."""
    if not shares:
        return theme.nothing("The scores of this run were not decomposed.")
    figure = theme.figure(
        height=92 + 30 * len(shares),
        margin={"l": 20, "r": 16, "t": 34, "b": 52},
        bargap=0.42,
        xaxis={"title": {"text": "share of the variation in score"}, "tickformat": ".0%", "rangemode": "tozero"},
        yaxis={
            "showgrid": False,
            "tickvals": list(range(len(shares))),
            "ticktext": [theme.safe(term_name(one.term)) for one in shares],
            "range": [len(shares) - 0.4, -0.6],
            "ticklabelstandoff": 6,
            "tickfont": {"color": colors.INK},
            "fixedrange": True,
        },
    )
    for kind, (name, color) in KINDS.items():
        group = [(place, one) for place, one in enumerate(shares) if one.kind == kind]
        if not group:
            continue
        figure.add_bar(
            x=[one.share for _, one in group],
            y=[place for place, _ in group],
            orientation="h",
            name=name,
            marker={"color": color, "line": {"width": 0}},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [_or_zero(one.high - one.share) for _, one in group],
                "arrayminus": [_or_zero(one.share - one.low) for _, one in group],
                "thickness": 1.4,
                "width": 4,
                "color": colors.MUTED,
            },
            hovertext=[f"<b>{theme.safe(term_name(one.term))}</b><br>{_share_text(one)}" for _, one in group],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    return figure


def _or_zero(value: float) -> float:
    return max(value, 0.0) if value == value else 0.0


def _share_text(one: Share) -> str:
    return f"{one.share:.1%}" + (f" [{one.low:.1%}, {one.high:.1%}]" if one.low == one.low else "")


def draw_architecture(diagram: Diagram | None) -> go.Figure:
    """The network from its input to its output; a block is as wide, on a logarithmic scale, as its layer."""
    if diagram is None:
        return theme.nothing("The layers of this network are not known.")
    figure = theme.figure(
        height=int(diagram.height) + 8,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        xaxis={"visible": False, "range": [0, diagram.width], "fixedrange": True},
        yaxis={"visible": False, "range": [diagram.height, 0], "fixedrange": True},
    )
    middle = sum(x for x, _ in diagram.blocks[0].corners) / 4
    for above, below in zip(diagram.blocks, diagram.blocks[1:], strict=False):
        line = {"color": colors.GREY, "width": 1.5}
        figure.add_shape(type="line", x0=middle, x1=middle, y0=above.corners[2][1], y1=below.corners[0][1], line=line)
    for block in diagram.blocks:
        path = " L ".join(f"{x:.1f},{y:.1f}" for x, y in block.corners)
        weighted = block.layer.n_parameters > 0
        figure.add_shape(
            type="path",
            path=f"M {path} Z",
            fillcolor=colors.rgba(colors.BLUE, 0.9 if weighted else 0.25),
            line={"color": colors.BLUE, "width": 1},
        )
        layer = block.layer
        detail = f" {theme.safe(short(layer.detail, 30))}" if layer.detail else ""
        figure.add_annotation(
            x=block.text[0],
            y=block.text[1],
            xanchor="left",
            align="left",
            text=f"<b>{theme.safe(layer.name)}</b>{detail}<br><span style='font-size:11px'>{shape_text(layer)}</span>",
        )
    # Without a trace, some renderers draw no axes and so no shapes.
    figure.add_scatter(x=[None], y=[None], showlegend=False, hoverinfo="skip")
    return figure


def architecture_svg(diagram: Diagram) -> str:
    """The same diagram as SVG; the style sheet of the page gives it its colours."""
    parts = [
        f'<svg class="architecture" viewBox="0 0 {diagram.width:g} {diagram.height:g}" role="img" '
        'aria-labelledby="architecture-title" xmlns="http://www.w3.org/2000/svg">',
        f'<title id="architecture-title">{html.escape(describe_architecture(diagram))}</title>',
    ]
    middle = sum(x for x, _ in diagram.blocks[0].corners) / 4
    for above, below in zip(diagram.blocks, diagram.blocks[1:], strict=False):
        start, end = above.corners[2][1], below.corners[0][1]
        parts.append(f'<line class="flow" x1="{middle:g}" x2="{middle:g}" y1="{start:g}" y2="{end - 4:g}"/>')
        tip = f"{middle - 4:g},{end - 6:g} {middle + 4:g},{end - 6:g} {middle:g},{end:g}"
        parts.append(f'<polygon class="tip" points="{tip}"/>')
    for block in diagram.blocks:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in block.corners)
        kind = "block" if block.layer.n_parameters else "block plain"
        x, y = block.text
        layer = block.layer
        parts.append(f'<polygon class="{kind}" points="{points}"/>')
        parts.append(
            f'<text class="name" x="{x:g}" y="{y:g}"><tspan class="class">{html.escape(layer.name)}</tspan> '
            f"{html.escape(short(layer.detail, 30))}</text>"
        )
        parts.append(f'<text class="shape" x="{x:g}" y="{y + 17:g}">{html.escape(shape_text(layer))}</text>')
    parts.append("</svg>")
    return "".join(parts)


def describe_architecture(diagram: Diagram) -> str:
    """The diagram in one sentence."""
    names = [f"{block.layer.name} {block.layer.detail}".strip() for block in diagram.blocks]
    return f"{', '.join(names)}; {diagram.n_parameters:,} parameters in all."
