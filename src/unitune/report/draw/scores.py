"""Figures of scores: the heat map, the intervals of the top trials, cost against score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from plotly.subplots import make_subplots

from unitune.records import counted
from unitune.report import colors
from unitune.report.draw import theme
from unitune.report.numbers import axis_name, in_lines, log_ticks, score_format, short, short_format
from unitune.report.prepared.heatmap import Grid, outline
from unitune.report.prepared.intervals import Interval
from unitune.report.prepared.marginals import MarginalPanel
from unitune.report.prepared.pareto import CostMap

if TYPE_CHECKING:
    import plotly.graph_objects as go


def draw_heatmap(grid: Grid | None, *, objective: str, direction: str, recommended: int | None = None) -> go.Figure:
    """Units x activation: darker is better, what may be the best is outlined, a star marks the recommended trial."""
    if grid is None:
        return theme.nothing("Neither units nor activations were part of this run.")
    scale = colors.SCALE if direction == "maximize" else colors.SCALE[::-1]
    n_rows, n_columns = grid.values.shape
    figure = theme.figure(
        height=84 + 54 * n_rows,
        margin={"l": 80, "r": 4, "t": 6, "b": 56},
        xaxis=_cells(grid.column_name, grid.columns),
        yaxis={**_cells(grid.row_name, grid.rows), "autorange": "reversed"},
        meta={"columns": n_columns},
    )
    figure.add_heatmap(
        z=grid.values,
        hovertext=_hovers(grid, objective),
        hovertemplate="%{hovertext}<extra></extra>",
        colorscale=[[place / (len(scale) - 1), color] for place, color in enumerate(scale)],
        xgap=3,
        ygap=3,
        showscale=False,
        hoverongaps=False,
    )
    _write_cells(figure, grid, scale, recommended)
    # Where any cell may be the best a border round everything says nothing.
    lines = outline(grid.credible) if not grid.credible[np.isfinite(grid.values)].all() else ()
    if lines:
        path = " ".join(f"M {x0},{y0} L {x1},{y1}" for (x0, y0), (x1, y1) in lines)
        figure.add_shape(type="path", path=path, line={"color": colors.ORANGE, "width": 3}, name="credible")
    return figure


def _cells(name: str, labels: Sequence[str]) -> dict[str, Any]:
    return {
        "title": {"text": theme.safe(axis_name(name))},
        "tickvals": list(range(len(labels))),
        "ticktext": [theme.safe(label) for label in labels],
        "showgrid": False,
        "fixedrange": True,
    }


def _hovers(grid: Grid, objective: str) -> list[list[str]]:
    number = score_format(grid.values.ravel())

    def hover(row: int, column: int) -> str:
        value, low, high = (float(each[row, column]) for each in (grid.values, grid.low, grid.high))
        many = grid.n_trials[row, column] > 1
        lines = [
            f"<b>{theme.safe(grid.rows[row])}, {theme.safe(grid.columns[column])}</b>",
            f"{objective} {number(value)}" + (f" [{number(low)}, {number(high)}]" if np.isfinite(low) else ""),
            f"trial {grid.trial[row, column]}"
            + (f", the best of {grid.n_trials[row, column]} in this cell" if many else ""),
        ]
        return "<br>".join([*lines, *(["may be the best"] if grid.credible[row, column] else [])])

    return [[hover(row, column) for column in range(len(grid.columns))] for row in range(len(grid.rows))]


def _write_cells(figure: go.Figure, grid: Grid, scale: Sequence[str], recommended: int | None) -> None:
    """The score in each cell, and below it the interval, which a narrow page leaves out."""
    finite = grid.values[np.isfinite(grid.values)]
    number = short_format(finite)
    least, span = float(finite.min()), float(np.ptp(finite))
    for row, column in np.ndindex(grid.values.shape):
        value, low, high = (float(each[row, column]) for each in (grid.values, grid.low, grid.high))
        if not np.isfinite(value):
            continue
        level = (value - least) / span if span > 0 else 0.5
        ink = colors.ink_on(colors.at(scale, level))
        star = "★ " if grid.trial[row, column] == recommended else ""
        known = np.isfinite(low)
        place = {"x": column, "y": row, "font": {"color": ink}}
        figure.add_annotation(text=f"<b>{star}{number(value)}</b>", yshift=9 if known else 0, name="mean", **place)
        if known:
            place["font"] = {"color": ink, "size": 11}
            figure.add_annotation(text=f"{number(low)}–{number(high)}", yshift=-9, name="interval", **place)


def draw_intervals(rows: Sequence[Interval], *, objective: str) -> go.Figure:
    """The top trials, best at the top: the score to expect with its 95 % interval, a ring for the mean over the folds
    and a tick for the training score."""
    if not rows:
        return theme.nothing("No trial has a score.")
    number = score_format([value for row in rows for value in (row.expected, row.low, row.high)])
    labels = in_lines({row.trial: row.label for row in rows})
    figure = theme.figure(
        height=92 + (38 if any(len(lines) > 1 for lines in labels) else 30) * len(rows),
        margin={"l": 20, "r": 16, "t": 34, "b": 52},
        xaxis={"title": {"text": theme.safe(objective)}, "nticks": 6},
        yaxis={"showgrid": False, "fixedrange": True},
        meta={"short_ticks": [f"trial {row.trial}" for row in rows]},
    )
    others = [row for row in rows if not row.recommended]
    groups = (
        ("recommended", colors.RECOMMENDED, "star", 13, [row for row in rows if row.recommended]),
        ("may be the best", colors.CREDIBLE, "circle", 9, [row for row in others if row.credible]),
        ("other trials", colors.BEHIND, "circle", 9, [row for row in others if not row.credible]),
    )
    place = {row.trial: index for index, row in enumerate(rows)}
    for name, symbol, values in (
        ("mean over the folds", "circle-open", [row.mean for row in rows]),
        ("training score", "line-ns-open", [row.train for row in rows]),
    ):
        figure.add_scatter(
            x=values,
            y=list(place.values()),
            mode="markers",
            name=name,
            marker={"symbol": symbol, "size": 10, "color": colors.GREY, "line": {"width": 1.5}},
            hovertemplate=f"{name} %{{x:.4f}}<extra></extra>",
        )
    for name, color, symbol, size, group in groups:
        if not group:
            continue
        figure.add_scatter(
            x=[row.expected for row in group],
            y=[place[row.trial] for row in group],
            error_x=_errors(group),
            mode="markers",
            name=name,
            marker={"symbol": symbol, "size": size, "color": color},
            hovertext=[
                f"<b>{theme.safe(row.label)}</b><br>{number(row.expected)}"
                + (f" [{number(row.low)}, {number(row.high)}]" if np.isfinite(row.low) else "")
                + f"<br>trial {row.trial}"
                for row in group
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    ticks = ["<br>".join(map(theme.safe, lines)) for lines in labels]
    figure.update_yaxes(
        tickvals=list(range(len(ticks))),
        ticktext=ticks,
        range=[len(ticks) - 0.4, -0.6],
        ticklabelstandoff=6,
        tickfont={"color": colors.INK},
    )
    return figure


def _errors(group: Sequence[Interval]) -> dict[str, Any]:
    known = [row if np.isfinite(row.low) else None for row in group]
    return {
        "type": "data",
        "symmetric": False,
        "array": [0.0 if row is None else row.high - row.expected for row in known],
        "arrayminus": [0.0 if row is None else row.expected - row.low for row in known],
        "thickness": 1.8,
        "width": 0,
    }


def draw_marginals(panels: Sequence[MarginalPanel], *, objective: str) -> go.Figure:
    """A panel for each hyperparameter: for each value the best trial that has it (the isolation plot), and the mean of
    all trials that have it, with 95 % intervals."""
    if not panels:
        return theme.nothing("No hyperparameter of this run has two values to compare.")
    figure = theme.small_multiples([f"<b>{theme.safe(panel.title)}</b>" for panel in panels], titled=False)
    number = score_format([value for panel in panels for value in (*panel.best, *panel.mean)])
    named: set[str] = set()
    for index, panel in enumerate(panels):
        places = np.arange(len(panel.values), dtype=float)
        several = not panel.alone
        series = [
            ("best trial with the value", colors.BLUE, "circle", -0.08, panel.best, panel.best_low, panel.best_high)
        ]
        if several:
            mean = ("mean of all trials with it", colors.GREY, "diamond-open", 0.08, panel.mean, panel.low, panel.high)
            series.append(mean)
        for name, color, symbol, shift, values, low, high in series:
            isolated = values is panel.best
            hovers = [
                f"<b>{theme.safe(panel.title)} {theme.safe(panel.values[at])}</b><br>{number(values[at])}"
                + (f" [{number(low[at])}, {number(high[at])}]" if np.isfinite(low[at]) else "")
                + (
                    f"<br>{theme.safe(panel.best_labels[at])}"
                    if isolated
                    else f"<br>{counted(panel.n_trials[at], 'trial')}"
                )
                for at in range(len(values))
            ]
            figure.add_scatter(
                x=places + (shift if several else 0.0),
                y=values,
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": np.nan_to_num(high - values),
                    "arrayminus": np.nan_to_num(values - low),
                    "thickness": 1.8 if isolated else 1.2,
                    "width": 0,
                },
                mode="lines+markers" if panel.ordered else "markers",
                name=name,
                legendgroup=name,
                showlegend=name not in named,
                marker={"symbol": symbol, "size": 9 if isolated else 7, "color": color},
                line={"color": color, "width": 1.8 if isolated else 1.2, "dash": "solid" if isolated else "dot"},
                hovertext=hovers,
                hovertemplate="%{hovertext}<extra></extra>",
                **theme.panel(index),
            )
            named.add(name)
        figure.update_xaxes(
            tickvals=places,
            ticktext=[theme.safe(short(value, 14)) for value in panel.values],
            range=[-0.5, len(places) - 0.5],
            showgrid=False,
            fixedrange=True,
            **theme.panel(index),
        )
        # The same scale in all panels: what matters moves more.
        figure.update_yaxes(matches="y", nticks=5, **theme.panel(index))
        if index % theme.COLUMNS == 0:
            figure.update_yaxes(title_text=theme.safe(objective), **theme.panel(index))
    return figure


def draw_pareto(maps: Sequence[CostMap], *, objective: str) -> go.Figure:
    """Score over parameters and over training time; the line joins the trials that no other beats in both."""
    if not maps or not len(maps[0].cost):
        return theme.nothing("No trial has a score.")
    figure = make_subplots(rows=1, cols=len(maps), shared_yaxes=True, horizontal_spacing=0.04)
    figure.update_layout(
        template=theme.TEMPLATE,
        height=360,
        margin={"l": 60, "r": 16, "t": 36, "b": 52},
        meta={"stack": len(maps), "stacked_height": 620},
    )
    number = score_format(maps[0].score)
    for column, one in enumerate(maps, 1):
        kinds = (
            (
                "other trials" if one.credible.any() else "trial",
                colors.BEHIND,
                "circle-open",
                7,
                ~one.credible & ~one.recommended,
            ),
            ("may be the best", colors.CREDIBLE, "circle", 8, one.credible & ~one.recommended),
            ("recommended", colors.RECOMMENDED, "star", 14, one.recommended),
        )
        figure.add_scatter(
            x=one.cost[one.front],
            y=one.score[one.front],
            mode="lines",
            name="Pareto front",
            line={"color": colors.MUTED, "width": 1.3, "shape": "hv", "dash": "dot"},
            hoverinfo="skip",
            legendgroup="front",
            showlegend=column == 1,
            row=1,
            col=column,
        )
        for name, color, symbol, size, chosen in kinds:
            places = np.flatnonzero(chosen)
            if not len(places):
                continue
            figure.add_scatter(
                x=one.cost[places],
                y=one.score[places],
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                marker={"symbol": symbol, "size": size, "color": color, "line": {"width": 1.4, "color": color}},
                hovertext=[
                    f"<b>{theme.safe(one.labels[place])}</b><br>{objective} {number(one.score[place])}"
                    f"<br>{one.cost[place]:,.4g} {one.cost_name.split(' (')[0]}"
                    for place in places
                ],
                hovertemplate="%{hovertext}<extra></extra>",
                row=1,
                col=column,
            )
        figure.update_xaxes(title_text=one.cost_name, nticks=6, row=1, col=column)
        if one.cost.min() > 0 and one.cost.max() > 5 * one.cost.min():
            ticks = log_ticks(float(one.cost.min()), float(one.cost.max()))
            figure.update_xaxes(
                type="log", tickvals=ticks, ticktext=[f"{tick:,g}" for tick in ticks], row=1, col=column
            )
    figure.update_yaxes(title_text=theme.safe(objective), row=1, col=1)
    return figure
