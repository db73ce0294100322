"""From a search to its findings: every rule on the winner, and in summary on activations and widths."""

from __future__ import annotations

import math

import numpy as np

from unitune.diagnosis import (
    class_ignored,
    dead_units,
    diverged,
    edge,
    exploding_gradients,
    generalization_gap,
    learning_rate_high,
    learning_rate_low,
    noise_dominated,
    overfit,
    plateaued_capacity,
    saturation,
    simpler_model,
    suspiciously_easy,
    too_few_epochs,
    underfit,
    unstable,
    vanishing_gradients,
)
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.rule import Rule, Signs
from unitune.diagnosis.summaries import summarise
from unitune.records import Array, Finding

# The cause comes before what it explains; of equal severity, findings keep this order.
RULES: tuple[Rule, ...] = (
    diverged.RULE,
    class_ignored.RULE,
    learning_rate_high.RULE,
    learning_rate_low.RULE,
    dead_units.RULE,
    saturation.RULE,
    vanishing_gradients.RULE,
    exploding_gradients.RULE,
    unstable.RULE,
    overfit.RULE,
    generalization_gap.RULE,
    underfit.RULE,
    too_few_epochs.RULE,
)
SEARCH_KINDS = (
    *("suspiciously_easy", "linear_as_good", "boosting_ahead"),
    *("edge_of_space", "noise_dominated", "plateaued_capacity"),
)
KINDS: tuple[str, ...] = (*(rule.kind for rule in RULES), *SEARCH_KINDS)
"""Every kind of finding."""

_SEVERITY = {"warning": 0, "advice": 1, "info": 2}


def diagnose(evidence: Evidence) -> tuple[Finding, ...]:
    """What limits the candidates, and what to try.

    Args:
        evidence: The search as arrays.

    Returns:
        The findings: warnings, then advice, then what is good to know. Those about the winner name it first; the
        others are summaries by activation or by width.
    """
    if not evidence.trials:
        return ()
    seen = judge(evidence)
    findings: list[Finding] = []
    for rule in RULES:
        signs, found = seen[rule.kind]
        best = evidence.winner
        if best is not None and found[best]:
            findings.append(_of_trial(evidence, rule, signs, found, best))
        elif best is None and found.any():
            findings.append(_of_trial(evidence, rule, signs, found, int(found.argmax())))
        findings += summarise(evidence, rule, signs, found)
    for search in (suspiciously_easy, simpler_model, edge, noise_dominated, plateaued_capacity):
        findings += search.find(evidence)
    return tuple(sorted(findings, key=lambda finding: _SEVERITY[finding.severity]))


def judge(evidence: Evidence) -> dict[str, tuple[Signs, Array]]:
    """For each rule its signs, and `(trial,)` where they count: nothing that was found explains them."""
    signs = {rule.kind: rule.signs(evidence) for rule in RULES}
    found: dict[str, Array] = {}
    pending = list(RULES)
    while pending:
        rule = next(r for r in pending if all(cause in found for cause in r.because))
        pending.remove(rule)
        explained = np.zeros(len(evidence.trials), dtype=bool)
        for cause in rule.because:
            explained |= found[cause]
        found[rule.kind] = np.asarray(signs[rule.kind].found, dtype=bool) & ~explained
    return {kind: (signs[kind], found[kind]) for kind in signs}


def _of_trial(evidence: Evidence, rule: Rule, signs: Signs, found: Array, position: int) -> Finding:
    words = rule.words(evidence, signs, position)
    numbers = {name: float(values[position]) for name, values in signs.numbers.items()}
    if len(found) > 1:
        numbers["share_of_trials"] = float(found.mean())
    known = {name: value for name, value in numbers.items() if not math.isnan(value)}
    return Finding(
        kind=rule.kind,
        severity=words.severity,
        title=words.title,
        trials=(
            evidence.trials[position].number,
            *(evidence.trials[p].number for p in np.flatnonzero(found).tolist() if p != position),
        ),
        evidence={**known, **words.evidence},
        advice=words.advice,
    )
