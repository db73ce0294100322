"""From what a run found to the page: sections in their order, each with its figure, its numbers and its sentence.

The template escapes everything that is not marked as markup here. Figures travel as JSON in which `<` is written as
`\\u003c`, so that no name in the data can end a script.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup, escape

from unitune.report.draw.parts import architecture_svg, term_name
from unitune.report.facts import Facts
from unitune.report.gallery import Gallery
from unitune.report.numbers import axis_name, score_format, seconds, setting
from unitune.report.page.table import trial_table
from unitune.report.prepared.curves import Panel

if TYPE_CHECKING:
    import plotly.graph_objects as go

SECTIONS = {
    "conclusion": "Conclusion",
    "recommended": "Recommended configuration",
    "heatmap": "Units × activation",
    "intervals": "The top trials",
    "curves": "Learning curves",
    "findings": "Findings",
    "health": "Activation health",
    "interplay": "What the score depends on",
    "pareto": "Cost against score",
    "architecture": "Architecture",
    "trials": "All trials",
    "how": "How it was run",
}
RANGE = "95 % interval"
BORDER = "The line encloses those of which one is the best of all with 95 %. "
SEVERITIES = {"warning": "Warning", "advice": "Advice", "info": "Note"}


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure on the page: its name, its Plotly JSON, its text alternative, its caption, and its numbers."""

    name: str
    json: Markup
    height: int
    alternative: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def page(facts: Facts) -> str:
    """The report of a run as one page of HTML."""
    gallery = Gallery(facts)
    plots = {name: make(gallery) for name, make in PLOTS.items()}
    diagram = gallery.diagram()
    return _template().render(
        facts=facts,
        title=f"{facts.name} · Unitune report" if facts.name else "Unitune report",
        sections=SECTIONS,
        severities=SEVERITIES,
        plots=plots,
        recommended=_recommended(facts, gallery.chosen),
        chosen=gallery.chosen,
        findings=facts.findings,
        architecture=Markup(architecture_svg(diagram)) if diagram else "",
        diagram=diagram,
        trials=trial_table(facts),
        references=_references(facts),
        css=Markup(_read("page.css")),
        js=Markup(_read("page.js")),
        plotly=Markup(_read("plotly-cartesian.min.js")),
    )


def _references(facts: Facts) -> list[tuple[str, str, str, str]]:
    """For each simpler model its name, score, interval and time."""
    if facts.references is None or not len(facts.references):
        return []
    number = score_format([*facts.references["mean"], *facts.table["mean"].dropna()])
    return [
        (row.reference, number(row.mean), _range(number, row.low, row.high), seconds(row.seconds))
        for row in facts.references.itertuples()
    ]


@cache
def _read(name: str) -> str:
    return (resources.files("unitune.report.page") / name).read_text(encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["evidence"] = evidence
    environment.filters["words"] = words
    environment.filters["code"] = code
    return environment.from_string(_read("page.html.j2"))


def evidence(value: Any, name: str = "") -> str:
    """A number of a finding; shares are told in percent.

    Example:
        >>> evidence(0.123456), evidence(12.0), evidence("relu"), evidence(0.25, "share_relu")
        ('0.1235', '12', 'relu', '25 %')
    """
    if isinstance(value, bool | str) or value is None:
        return str(value)
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if name.startswith("share") and 0 <= value <= 1:
        return f"{100 * value:.0f} %"
    return f"{value:,.4g}"


def words(name: str) -> str:
    """The name of a number of a finding.

    Example:
        >>> words("share_relu"), words("share_of_trials"), words("gap_at_end")
        ('share with relu', 'share of trials', 'gap at end')
    """
    rest = name.removeprefix("share_")
    plain = rest == name or rest.startswith("of_")
    return (name if plain else f"share with {rest}").replace("_", " ")


def code(text: str) -> Markup:
    """Text with what stands between backticks as code.

    Example:
        >>> print(code("use `a < b`, & so on"))
        use <code>a &lt; b</code>, &amp; so on
    """
    parts = str(text).split("`")
    if len(parts) % 2 == 0:  # a lone backtick is no mark
        return escape(text)
    pieces = (Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts))
    return Markup("").join(pieces)


def _plot(
    name: str, figure: go.Figure, alternative: str, caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> Plot:
    text = str(figure.to_json(remove_uids=True)).replace("<", "\\u003c").replace("\u2028", "").replace("\u2029", "")
    return Plot(
        name=name,
        json=Markup(text),
        height=int(figure.layout.height),
        alternative=alternative,
        caption=caption,
        header=tuple(header),
        rows=tuple(tuple(row) for row in rows),
    )


def _recommended(facts: Facts, chosen: int | None) -> dict[str, Any] | None:
    """The recommended trial: its settings, and in each metric what to expect of it and what it scored."""
    if chosen is None:
        return None
    trial = facts.trials[chosen]
    row = facts.table[facts.table["trial"] == chosen].iloc[0]
    names = [name for name in trial.configuration if name in row.index]
    varied = [(axis_name(name), setting(row[name])) for name in names if name in facts.settings]
    fixed = [(axis_name(name), setting(row[name])) for name in names if name not in facts.settings]
    scores = []
    for metric, score in trial.scores.items():
        twin = trial.scores.get("log_loss")
        if metric == "loss" != facts.objective and twin is not None and twin.values == score.values:
            continue  # The log loss again.
        number = score_format([score.mean, score.train])
        estimate = facts.estimates.get(metric)
        scores.append(
            {
                "metric": metric,
                "estimate": "" if estimate is None else number(estimate.mean),
                "interval": "" if estimate is None else _range(number, estimate.low, estimate.high),
                "mean": number(score.mean),
                "train": number(score.train),
                "test": number(facts.test_scores[metric]) if metric in facts.test_scores else "",
            }
        )
    main = facts.estimates.get(facts.objective)
    score = trial.scores[facts.objective]
    mean, low, high = (main.mean, main.low, main.high) if main is not None else (score.mean, math.nan, math.nan)
    number = score_format([mean, low, high])
    return {
        "label": facts.labels[chosen],
        "number": chosen,
        "varied": varied or [("trial", str(chosen))],
        "fixed": [(name, value) for name, value in fixed if value],
        "costs": [
            ("parameters", f"{trial.n_parameters:,}"),
            ("training time", f"{seconds(trial.elapsed_s)} for {len(score.values)} networks"),
            ("best epoch", str(facts.best_epoch(chosen))),
        ],
        "scores": scores,
        "headline": f"{facts.objective} {'to expect' if main is not None else 'as it was'}",
        "mean": number(mean),
        "interval": _range(number, low, high),
        "method": main.method if main is not None else "",
        "is_best": chosen == facts.best,
        "has_test": bool(facts.test_scores),
    }


def _heatmap(gallery: Gallery) -> Plot | None:
    grid, facts = gallery.grid(), gallery.facts
    if grid is None:
        return None
    number = score_format(grid.values.ravel())
    cells = [(r, c) for r in range(len(grid.rows)) for c in range(len(grid.columns)) if grid.trial[r, c]]
    best = (max if facts.direction == "maximize" else min)(cells, key=lambda cell: float(grid.values[cell]))
    n = int(grid.credible.sum())
    aim = "higher" if facts.direction == "maximize" else "lower"
    border = ""
    if facts.credible:
        border = "Any of the cells may be the best. " if n == len(cells) else BORDER
    below = (
        ", and below it, where there is room, the range that holds it with 95 %" if np.isfinite(grid.low).any() else ""
    )
    return _plot(
        "heatmap",
        gallery.heatmap(),
        f"Heat map of the {facts.objective} to expect by {axis_name(grid.row_name)} and "
        f"{axis_name(grid.column_name)}. Best: {grid.rows[best[0]]} with {grid.columns[best[1]]}, "
        f"{number(float(grid.values[best]))}. {n} of {len(cells)} cells may be the best.",
        f"The {facts.objective} to expect on new rows ({aim} is better, and darker){below}. It is worked out from the "
        f"scores of all trials together, so that neighbours support each other. {border}"
        + "★ is the recommended configuration."
        * (facts.recommended is not None),
        (axis_name(grid.row_name), axis_name(grid.column_name), f"{facts.objective} to expect", RANGE, "may be best"),
        [
            (
                grid.rows[r],
                grid.columns[c],
                number(float(grid.values[r, c])),
                _range(number, float(grid.low[r, c]), float(grid.high[r, c])),
                "yes" if grid.credible[r, c] else "no",
            )
            for r, c in cells
        ],
    )


def _range(number: Callable[[float], str], low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{number(low)} to {number(high)}"


def _intervals(gallery: Gallery) -> Plot | None:
    rows, facts = gallery.interval_rows(), gallery.facts
    if not rows:
        return None
    number = score_format([value for row in rows for value in (row.expected, row.mean)])
    known = any(math.isfinite(row.low) for row in rows)
    line = (
        "The line holds the score on new rows with 95 %, the point is the score to expect" if known else "The point is "
    )
    line += "" if known else "the score to expect"
    return _plot(
        "intervals",
        gallery.intervals(),
        f"The top {len(rows)} trials by {facts.objective}: {number(rows[0].expected)} is to expect of {rows[0].label}, "
        f"{number(rows[-1].expected)} of {rows[-1].label}; {sum(row.credible for row in rows)} of them may be best.",
        f"{line}; a ring is the mean over the folds as it was, a tick the score on the training rows. The point lies "
        "nearer to the middle than the ring: what stands out in a few folds is in part luck. Luck of the rows moves "
        "all trials alike, so lines that overlap do not by themselves mean that two trials are as good.",
        ("configuration", "to expect", RANGE, "mean over the folds", "training", "may be best"),
        [
            (
                row.label,
                number(row.expected),
                _range(number, row.low, row.high),
                number(row.mean),
                number(row.train),
                "yes" if row.credible else "no",
            )
            for row in rows
        ],
    )


def _curves(gallery: Gallery) -> Plot | None:
    panels = gallery.panels()
    if not panels:
        return None
    rows = []
    for panel in panels:
        last = {curve.split: curve.mean[-1] for curve in panel.curves}
        rows.append(
            (
                panel.title,
                panel.metric,
                "" if panel.best_epoch is None else str(panel.best_epoch),
                *(f"{last[split]:.4g}" if split in last else "" for split in ("train", "validation")),
                panel.verdict,
            )
        )
    first = "The first is the best." if gallery.facts.recommended is None else "★ is the recommended configuration."
    many = any(curve.n_members > 1 for panel in panels for curve in panel.curves)
    band = "Lines are means over the folds, bands go from the lowest to the highest fold. " if many else ""
    return _plot(
        "curves",
        gallery.learning_curves(),
        f"Learning curves of {len({panel.trial for panel in panels})} trials. " + " ".join(map(_in_words, panels)),
        f"{band}The dashed upright is the best epoch, the median over the folds. {first}",
        ("configuration", "metric", "best epoch", "training, last epoch", "validation, last epoch", "fit"),
        rows,
    )


def _in_words(panel: Panel) -> str:
    ends = [f"{curve.split} {panel.metric} ends at {curve.mean[-1]:.3g}" for curve in panel.curves]
    return f"{panel.title}: {', '.join([*ends, *([panel.verdict] if panel.verdict else [])])}."


def _health(gallery: Gallery) -> Plot | None:
    panels, facts = gallery.health_panels(), gallery.facts
    if not panels or gallery.chosen is None:
        return None
    rows = [
        (panel.title, layer.layer, *(f"{layer.mean[place]:.3g}" for place in (0, -1)))
        for panel in panels
        for layer in panel.layers
    ]
    dead = next((panel for panel in panels if panel.probe == "dead_units"), None)
    worst = max((float(layer.mean[-1]) for layer in dead.layers), default=0.0) if dead else 0.0
    return _plot(
        "health",
        gallery.health(),
        f"Activation health of {facts.labels[gallery.chosen]} by layer and epoch: {len(panels)} measures. "
        f"At the end at most {worst:.0%} of a layer's units are dead.",
        f"Measured in the networks of {facts.labels[gallery.chosen]}. A dead unit is zero on every validation row; "
        "a saturated output lies beyond 95 % of a bounded activation's range. "
        "Gradients and updates are of each layer's kernel at the last step of the epoch, and the last layer is the "
        "output. Bands go from the lowest to the highest fold.",
        ("measure", "layer", "first epoch", "last epoch"),
        rows,
    )


def _overview(gallery: Gallery) -> Plot | None:
    panels = gallery.overview_panels()
    if not panels:
        return None
    rows = []
    for panel in panels:
        number = "{:.3g}".format if panel.log else "{:.1%}".format
        rows += [(panel.title, name or "all", *map(number, ends)) for name, *ends in panel.summary()]
    by = panels[0].by
    return _plot(
        "health_overview",
        gallery.health_overview(),
        f"Activation health of {max(len(panel.value) for panel in panels)} trials"
        + (f" by {by}. " if by else ". ")
        + " ".join(f"{row[0]}, {row[1]}: {row[2]} to {row[4]}." for row in rows),
        "All trials after training, each a point"
        + (f", by {by}" if by else "")
        + ": the share of dead units and of saturated outputs in the worst layer, and the gradient of the first layer "
        "over that of the last in the first half of training. Beyond a dashed line, where there is one, it is a "
        "finding." + (" ★ is the recommended configuration." if gallery.facts.recommended is not None else ""),
        ("measure", by or "trials", "lowest", "median", "highest"),
        rows,
    )


def _interplay(gallery: Gallery) -> Plot | None:
    shares = gallery.shares()
    if not shares:
        return None
    first = shares[0]
    return _plot(
        "interplay",
        gallery.interplay(),
        f"Shares of the variation in score. {term_name(first.term)} accounts for {first.share:.0%}. "
        + ", ".join(f"{term_name(one.term)} {one.share:.0%}" for one in shares[1:])
        + ".",
        "How much of the variation in score between networks is due to each hyperparameter, to their interplay, and to "
        "folds and seeds. Whiskers hold the share with 95 %; one that begins at 0 may be nothing.",
        ("term", "share", RANGE),
        [
            (
                term_name(one.term),
                f"{one.share:.1%}",
                "" if math.isnan(one.low) else f"{one.low:.1%} to {one.high:.1%}",
            )
            for one in shares
        ],
    )


def _marginals(gallery: Gallery) -> Plot | None:
    panels, facts = gallery.marginal_panels(), gallery.facts
    if not panels:
        return None
    number = score_format([value for panel in panels for value in (*panel.best, *panel.mean)])
    rows, words = [], []
    for panel in panels:
        best = int(panel.best.argmax() if facts.direction == "maximize" else panel.best.argmin())
        words.append(f"{panel.title}: best with {panel.values[best]}, {number(panel.best[best])}.")
        rows += [
            (
                f"{panel.title} {panel.values[at]}",
                number(panel.best[at]),
                _range(number, panel.best_low[at], panel.best_high[at]),
                number(panel.mean[at]),
                _range(number, panel.low[at], panel.high[at]),
                str(panel.n_trials[at]),
            )
            for at in range(len(panel.values))
        ]
    left_out = len(facts.marginals) - len(panels)
    rest = f" Of {len(facts.marginals)} hyperparameters, those that matter most." if left_out > 0 else ""
    return _plot(
        "marginals",
        gallery.marginals(),
        f"What each hyperparameter does to {facts.objective}. " + " ".join(words),
        "What each value can do: the score to expect of the best trial that has it, the other hyperparameters chosen "
        "for it, and of the value over all others, with 95 % intervals. All panels have the same scale." + rest,
        ("value", "best trial", RANGE, "over all others", RANGE, "trials"),
        rows,
    )


def _pareto(gallery: Gallery) -> Plot | None:
    maps, facts = gallery.cost_maps(), gallery.facts
    if not maps or not len(maps[0].cost):
        return None
    number = score_format(maps[0].score)
    rows = [
        (one.cost_name, one.labels[place], f"{one.cost[place]:,.4g}", number(float(one.score[place])))
        for one in maps
        for place in range(len(one.cost))
        if one.front[place]
    ]
    return _plot(
        "pareto",
        gallery.pareto(),
        f"{facts.objective} over parameters and over training time of {len(maps[0].cost)} trials; "
        f"{int(maps[0].front.sum())} are on the Pareto front by parameters, {int(maps[-1].front.sum())} by time.",
        "Each point is a trial. The dotted line joins those that no other trial beats both in cost and in score.",
        ("cost", "configuration on the front", "value", facts.objective),
        rows[:60],
    )


PLOTS: dict[str, Callable[[Gallery], Plot | None]] = {
    "heatmap": _heatmap,
    "intervals": _intervals,
    "curves": _curves,
    "health": _health,
    "health_overview": _overview,
    "interplay": _interplay,
    "marginals": _marginals,
    "pareto": _pareto,
}
