"""The answer of a search in the terminal: the conclusion, what may be the best, the findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from unitune.cli.words import advice_with_flags

if TYPE_CHECKING:
    from unitune.result import Result

SHOWN = 8
STYLES = {"warning": ("▲", "red"), "advice": ("●", "yellow"), "info": ("·", "dim")}


def show_answer(result: Result, console: Console) -> None:
    """Prints the conclusion, the trials that may be the best, and the findings."""
    from unitune.result.facts import answer_of

    answer = answer_of(result)
    console.print("Conclusion", style="bold")
    for sentence in answer.conclusion:
        console.print(Padding(Text(advice_with_flags(sentence)), (0, 0, 0, 2)))
    if len(answer.credible) > 1:
        names = [answer.labels[number] for number in answer.credible[:SHOWN]]
        more = f" and {len(answer.credible) - SHOWN:,} more" if len(answer.credible) > SHOWN else ""
        console.print("One of these is the best, with 95 %", style="bold")
        console.print(Padding(Text("; ".join(names) + more), (0, 0, 0, 2)))
    if answer.findings:
        console.print("Findings", style="bold")
    for finding in answer.findings or ():
        sign, style = STYLES[finding.severity]
        console.print(Padding(Text.assemble((f"{sign} ", style), finding.title), (0, 0, 0, 2)))
        if finding.advice:
            console.print(Padding(Text(advice_with_flags(finding.advice), style="dim"), (0, 0, 0, 4)))
