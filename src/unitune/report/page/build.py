"""From what a run found to the page: sections in their order, each with its figure, its numbers and its sentence.

The template escapes everything that is not marked as markup here. Figures travel as JSON in which `<` is written as
`\\u003c`, so that no name in the data can end a script.
"""

from __future__ import annotations

import math
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup, escape

from unitune.records import counted
from unitune.report.draw.parts import architecture_svg
from unitune.report.facts import Facts
from unitune.report.gallery import Gallery
from unitune.report.numbers import axis_name, score_format, seconds, setting
from unitune.report.page.plots import PLOTS, range_text
from unitune.report.page.table import trial_table

if TYPE_CHECKING:
    pass

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
SEVERITIES = {"warning": "Warning", "advice": "Advice", "info": "Note"}


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
        (row.reference, number(row.mean), range_text(number, row.low, row.high), seconds(row.seconds))
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
    environment.globals["counted"] = counted
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
                "interval": "" if estimate is None else range_text(number, estimate.low, estimate.high),
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
            ("training time", f"{seconds(trial.elapsed_s)} for {counted(len(score.values), 'network')}"),
            ("best epoch", str(facts.best_epoch(chosen))),
        ],
        "scores": scores,
        "headline": f"{facts.objective} {'to expect' if main is not None else 'as it was'}",
        "mean": number(mean),
        "interval": range_text(number, low, high),
        "method": main.method if main is not None else "",
        "is_best": chosen == facts.best,
        "has_test": bool(facts.test_scores),
    }
