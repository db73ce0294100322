"""What groups of trials have in common: a kind of finding by activation and by width."""

from __future__ import annotations

import numpy as np

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.rule import Rule, Signs
from unitune.records import Array, Finding

FAMILIES = ("activation", "units")


def summarise(evidence: Evidence, rule: Rule, signs: Signs, found: Array) -> list[Finding]:
    """For each hyperparameter the values with which most trials have this sign.

    One finding for a hyperparameter, and only where it tells values apart; where all of them have it, one for the
    whole search, unless the winner has it and is told of by itself.

    Args:
        evidence: The search.
        rule: The kind.
        signs: What was seen.
        found: `(trial,)`, where it counts: signs that another finding explains are left out.
    """
    n = len(evidence.trials)
    if n < 2 or not found.any():
        return []
    findings: list[Finding] = []
    for name in evidence.varying(*FAMILIES, *rule.groups):
        groups = [(label, rows) for label, rows in evidence.groups(name) if len(rows) >= rule.smallest_group]
        those = [(label, rows) for label, rows in groups if found[rows].mean() >= t.GROUP_SHARE]
        if those and len(those) < len(groups):
            findings.append(_finding(evidence, rule, signs, found, name, those, groups))
    told = evidence.winner is not None and bool(found[evidence.winner])
    if not findings and not told and found.mean() >= t.GROUP_SHARE:
        findings.append(_finding(evidence, rule, signs, found, "", [("", np.arange(n))], []))
    return findings


def _finding(
    evidence: Evidence,
    rule: Rule,
    signs: Signs,
    found: Array,
    name: str,
    those: list[tuple[str, Array]],
    groups: list[tuple[str, Array]],
) -> Finding:
    rows = np.concatenate([positions for _, positions in those])
    hit = rows[found[rows]]
    shares = [f"{label} in {int(found[p].sum())} of {len(p)} trials" for label, p in those]
    title = f"{name} {', '.join(shares)} {rule.summary}" if name else f"{len(hit)} of {len(rows)} trials {rule.summary}"
    numbers: dict[str, float | str] = {}
    if name:
        numbers["hyperparameter"] = name
        for label, positions in groups:
            numbers[f"share_{label}"] = float(found[positions].mean())
    else:
        numbers["share"] = float(found.mean())
    for key, values in signs.numbers.items():
        known = values[hit][np.isfinite(values[hit])]
        if len(known):
            numbers[f"median_{key}"] = float(np.median(known))
    order = sorted(hit.tolist(), key=lambda p: (p != evidence.winner, evidence.trials[p].number))
    return Finding(
        kind=rule.kind,
        severity="info",
        title=title,
        trials=tuple(evidence.trials[p].number for p in order),
        evidence=numbers,
        advice=rule.remedy,
    )
