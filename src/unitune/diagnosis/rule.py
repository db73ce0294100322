"""What every rule about single trials gives: signs in all trials at once, and words for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence
from unitune.records import Array

Severity = Literal["info", "advice", "warning"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Signs:
    """What a rule sees: `found` is `(trial,)`, and so is each of `numbers`, what it was decided on."""

    found: Array
    numbers: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a rule says about one trial; `evidence` adds to the numbers of its signs."""

    severity: Severity
    title: str
    advice: str
    evidence: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A kind of finding about single trials.

    Attributes:
        kind: Its name.
        signs: Judges all trials.
        words: Says what is so with the trial at a position.
        summary: What groups of trials do, after their name: `"have dead units"`.
        remedy: Advice for a group.
        because: Kinds that cause this one; where one of them is found in the same trial, this is not reported.
        groups: Which hyperparameters, beside activations and widths, its summary is looked at by.
        smallest_group: Trials that a value needs before its summary says anything.
    """

    kind: str
    signs: Callable[[Evidence], Signs]
    words: Callable[[Evidence, Signs, int], Words]
    summary: str
    remedy: str
    because: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    smallest_group: int = t.GROUP_TRIALS


def show(value: float) -> str:
    """A number with three significant digits.

    Example:
        >>> show(0.12345), show(1234567.0), show(3)
        ('0.123', '1.23e+06', '3')
    """
    return f"{value:.3g}"


def percent(share: float) -> str:
    """A share in percent.

    Example:
        >>> percent(0.123), percent(0.004)
        ('12 %', '0.4 %')
    """
    return f"{100 * share:.0f} %" if abs(share) >= 0.01 or share == 0 else f"{100 * share:.1g} %"
