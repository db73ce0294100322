"""The answer of a search in the terminal: the conclusion, the tied set, the findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

if TYPE_CHECKING:
    from unitune.result import Result

TIED_SHOWN = 8
STYLES = {"warning": ("▲", "red"), "advice": ("●", "yellow"), "info": ("·", "dim")}


def show_answer(result: Result, console: Console) -> None:
    """Prints the conclusion, the trials tied with the best, and the findings."""
    from unitune.result.facts import answer_of

    answer = answer_of(result)
    console.print("Conclusion", style="bold")
    for sentence in answer.conclusion:
        console.print(Padding(Text(sentence), (0, 0, 0, 2)))
    if len(answer.tied) > 1:
        names = [answer.labels[number] for number in answer.tied[:TIED_SHOWN]]
        more = f" and {len(answer.tied) - TIED_SHOWN:,} more" if len(answer.tied) > TIED_SHOWN else ""
        console.print("Tied with the best", style="bold")
        console.print(Padding(Text("; ".join(names) + more), (0, 0, 0, 2)))
    if answer.findings:
        console.print("Findings", style="bold")
    for finding in answer.findings or ():
        sign, style = STYLES[finding.severity]
        console.print(Padding(Text.assemble((f"{sign} ", style), finding.title), (0, 0, 0, 2)))
        if finding.advice:
            console.print(Padding(Text(finding.advice, style="dim"), (0, 0, 0, 4)))
