"""The next space, as Python source that runs: widened at edges, without what is clearly worse, changed by findings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.edge import Edge, edges
from unitune.diagnosis.evidence import MOST_GROUPS, Evidence, family
from unitune.diagnosis.isolation import Best, is_cut, is_number, isolate
from unitune.diagnosis.plateaued_capacity import Knee, knees
from unitune.records import Finding
from unitune.space import Float, Int

# The arguments of `unitune.tune` are plurals of what they let vary; what is left out has these values anyway.
_ARGUMENTS = {
    **{"units": "units", "activation": "activations", "layers": "layers", "optimizer": "optimizers"},
    **{"learning_rate": "learning_rates", "schedule": "schedules", "dropout": "dropouts"},
    **{"weight_decay": "weight_decays", "l1": "l1", "l2": "l2", "batch_normalization": "batch_normalization"},
    **{"initializer": "initializers", "batch_size": "batch_sizes", "epochs": "epochs"},
}
_NEUTRAL = {
    **{"learning_rate": None, "weight_decay": None, "dropout": 0.0, "l1": 0.0, "l2": 0.0, "schedule": "constant"},
    **{"batch_normalization": False, "initializer": "auto", "layers": 1},
}
_PER_LAYER = ("units", "activation")


@dataclass
class _Plan:
    """The values of a hyperparameter in the next space, and why they are what they are."""

    values: list[Any]
    domain: Int | Float | None = None
    reasons: list[str] = field(default_factory=list)

    def add(self, values: Sequence[Any], reason: str) -> None:
        new = [value for value in values if value not in self.values]
        if self.domain is not None and self._widened(new, reason):
            return
        if new:
            self.values = _in_order([*self.values, *new])
            self.domain = None
            self.reasons.append(f"{', '.join(map(_short, new))} added: {reason}")

    def _widened(self, values: Sequence[Any], reason: str) -> bool:
        """Widens a range, if need be, to numbers; False where its scale or its steps do not allow it."""
        domain = self.domain
        numbers = [value for value in values if is_number(value)]
        if domain is None or domain.step is not None or len(numbers) < len(values):
            return False
        low, high = min([domain.low, *numbers]), max([domain.high, *numbers])
        if domain.log and low <= 0:
            return False
        if (low, high) != (domain.low, domain.high):
            self.domain = type(domain)(low, high, None, domain.log)
            self.reasons.append(f"widened to reach {_short(high if high > domain.high else low)}: {reason}")
        return True

    def drop(self, values: Sequence[Any], reason: str) -> None:
        gone = [value for value in values if value in self.values]
        if gone and len(gone) < len(self.values):
            self.values = [value for value in self.values if value not in gone]
            self.reasons.append(f"{', '.join(map(_short, gone))} dropped: {reason}")

    def become(self, values: Sequence[Any], reason: str) -> None:
        if list(values) != self.values or self.domain is not None:
            self.values, self.domain = list(values), None
            self.reasons.append(reason)


def next_space(evidence: Evidence, findings: Sequence[Finding]) -> str:
    """The next search as Python source.

    Args:
        evidence: The search that was done.
        findings: What `diagnose` found in it.

    Returns:
        Source that defines `space`, the arguments of `unitune.tune`, with the reason of each change in a comment, and
        `search(x, y)`, which runs it. After `unitune.compare` it defines which models to keep.
    """
    names = evidence.space.names
    if not any(family(name) in _ARGUMENTS for name in names):
        return _models(evidence)
    plans = {name: _start(evidence, name) for name in names}
    winner = evidence.winner
    if winner is not None:
        _drop(evidence, plans)
        for edge in edges(evidence):
            _widen(plans[edge.name], edge)
        # What was trained too short, or fits too little, says nothing about how many units are enough.
        if not {f.kind for f in findings} & {"too_few_epochs", "underfit"}:
            for knee in knees(evidence):
                _cut(plans[knee.name], knee)
    options: dict[str, tuple[Any, str]] = {}
    if evidence.call is not None and evidence.call.get("patience") is not None:
        options["patience"] = (evidence.call["patience"], "as in this search")
    _heed(evidence, findings, plans, options)
    return _source(evidence, plans, options)


def _start(evidence: Evidence, name: str) -> _Plan:
    domain = evidence.space[name].domain
    values = list(evidence.values_of(name)) if domain.size > 1 else list(domain.values())
    if not values:
        values = [None]
    ranged = isinstance(domain, Int | Float) and is_cut(evidence, name)
    return _Plan(values=values, domain=domain if ranged else None)  # type: ignore[arg-type]


def _drop(evidence: Evidence, plans: dict[str, _Plan]) -> None:
    """Leaves out values that are worse with 95 %; ranges shrink to where nothing is known to be worse."""
    best = evidence.winner
    if best is None or evidence.draws is None:
        return
    worse = [evidence.is_better([best], [position]) for position in range(len(evidence.trials))]
    for name in evidence.varying():
        plan = plans[name]
        if plan.domain is not None:
            kept = [
                trial.configuration[name]
                for trial, gone in zip(evidence.trials, worse, strict=True)
                if not gone and name in trial.configuration
            ]
            tried = [trial.configuration[name] for trial in evidence.trials if name in trial.configuration]
            _narrow(plan, kept, tried)
            continue
        rows = isolate(evidence, name) if len(plan.values) <= MOST_GROUPS else []
        leading = max(rows, key=lambda row: _level(evidence, row)).members if rows else ()
        for row in rows:
            gain = evidence.gain(leading, row.members)
            if gain is None or not evidence.is_better(leading, row.members):
                continue
            if not evidence.is_no_better(leading, row.members):  # by more than matters
                loss = float(np.median(gain))
                plan.drop([row.value], f"with 95 % worse, {evidence.objective} by {loss:.3g} at best")
        alive = {str(evidence.space.label(name, row.value)) for row in rows}
        failed = [v for v in plan.values if rows and str(evidence.space.label(name, v)) not in alive]
        plan.drop(failed, "every trial failed")


def _level(evidence: Evidence, row: Best) -> float:
    """How good a value is at its best, to expect."""
    true = evidence.best_true(row.members)
    return -math.inf if true is None else float(np.median(true))


def _narrow(plan: _Plan, kept: list[Any], tried: list[Any]) -> None:
    """Narrows a range to what was kept, and on both sides to the next that was tried: the best may lie between."""
    domain = plan.domain
    if domain is None or not kept:
        return
    low = max((value for value in tried if value < min(kept)), default=domain.low)
    high = min((value for value in tried if value > max(kept)), default=domain.high)
    if low > domain.low or high < domain.high:
        if domain.step is None:
            low, high = (_round(low), _round(high)) if isinstance(domain, Float) else (low, high)
            plan.domain = type(domain)(low, high, None, domain.log)  # type: ignore[arg-type]
        else:
            inside = [v for v in domain.values() if low <= v <= high]
            plan.domain = type(domain)(inside[0], inside[-1], domain.step, domain.log)  # type: ignore[arg-type]
        plan.reasons.append(f"narrowed from {_short(domain.low)} to {_short(domain.high)}: what is not worse with 95 %")


def _widen(plan: _Plan, edge: Edge) -> None:
    side = "largest" if edge.upwards else "smallest"
    domain = plan.domain
    if domain is None:
        plan.add(edge.beyond, f"the best was the {side}")
        return
    low, high = (domain.low, edge.beyond[-1]) if edge.upwards else (edge.beyond[0], domain.high)
    plan.domain = type(domain)(low, high, domain.step, domain.log)  # type: ignore[arg-type]
    plan.reasons.append(f"widened to {_short(edge.beyond[-1 if edge.upwards else 0])}: the best was near the {side}")


def _cut(plan: _Plan, knee: Knee) -> None:
    if plan.domain is None:
        plan.drop(
            [row.value for row in knee.wider[1:]],
            f"no better than {_short(knee.width.value)} by more than {max(knee.at_most, 0.0):.2g}",
        )


def _heed(
    evidence: Evidence, findings: Sequence[Finding], plans: dict[str, _Plan], options: dict[str, tuple[Any, str]]
) -> None:
    """What findings about the winner, or the whole search, ask for."""
    best = evidence.winner
    number = evidence.trials[best].number if best is not None else None
    # The first of a kind is about the winner itself; summaries, which may name it first too, come after it.
    about = {f.kind: f for f in reversed(findings) if not f.trials or f.trials[0] == number or best is None}
    configuration = evidence.trials[best if best is not None else 0].configuration
    rate = float(evidence.rate[best if best is not None else 0])

    def change(name: str, values: Sequence[Any], reason: str) -> None:
        for other, plan in plans.items():
            if family(other) == name:
                if plan.values == [_NEUTRAL.get(name)] and plan.values != [0.0]:
                    plan.values = []
                plan.add(values, reason)

    if "too_few_epochs" in about and "epochs" in plans:
        epochs = int(about["too_few_epochs"].evidence.get("epochs_to_try", 0)) or 4 * int(configuration["epochs"])
        plans["epochs"].become([epochs], "training ended too early")
        options["patience"] = (max(3, round(epochs / 10)), "stops members that no longer improve")
    if "overfit" in about:
        options.setdefault("patience", (max(3, round(0.1 * int(configuration.get("epochs", 30)))), "overfitting"))
        change("dropout", [0.0, 0.2, 0.5], "overfitting")
    if {"learning_rate_high", "diverged"} & set(about) and math.isfinite(rate):
        change("learning_rate", [_round(rate / step) for step in (10, 3)], "the rate was too high")
        if "learning_rate" in plans:
            plans["learning_rate"].drop(
                [v for v in plans["learning_rate"].values if v is None or v >= rate], "too high"
            )
    if "learning_rate_low" in about and math.isfinite(rate):
        change("learning_rate", [_round(rate * step) for step in (10, 30, 100)], "the rate was too low")
        if "learning_rate" in plans:
            plans["learning_rate"].drop([v for v in plans["learning_rate"].values if v is None or v <= rate], "too low")
    if "dead_units" in about:
        change("activation", ["leaky_relu", "elu", "gelu"], "units died")
    if {"saturation", "vanishing_gradients"} & set(about):
        change("activation", ["relu", "gelu"], "gradients did not get through")
        change("batch_normalization", [True], "gradients did not get through")
    if "exploding_gradients" in about:
        change("batch_normalization", [True], "gradients exploded")
    underfit = about["underfit"].evidence if "underfit" in about else {}
    fall, small = underfit.get("train_fall_last_quarter"), "behind_linear" not in underfit
    longest = [value for value in plans["epochs"].values if isinstance(value, int)] if "epochs" in plans else []
    if longest and underfit and not small:
        epochs = max(100, 10 * max(longest))
        plans["epochs"].become([epochs], "a linear model is better: time is missing, not capacity")
        options.setdefault("patience", (round(epochs / 10), "stops members that no longer improve"))
    elif longest and isinstance(fall, float) and fall >= t.UNDERFIT_STILL_FALLING:
        plans["epochs"].become([4 * max(longest)], "training still improved")
    if underfit and small:
        for name, plan in plans.items():
            top = configuration.get(name)
            if family(name) == "units" and isinstance(top, int):
                plan.add([2 * top, 4 * top], "underfitting")
        layers = configuration.get("layers")
        if (
            "layers" in plans
            and isinstance(layers, int)
            and layers < 8
            and not set(plans) & {"units_1", "activation_1"}
        ):
            plans["layers"].add([layers + 1], "underfitting")
    if "class_ignored" in about:
        options["class_weight"] = ("balanced", "a class was ignored")
        options["objective"] = ("balanced_accuracy", "a class was ignored")
    if "noise_dominated" in about:
        if evidence.to_settle is not None and not evidence.is_settled:
            options["repeats"] = (evidence.repeats + evidence.to_settle[1], "to settle which is the best")
    elif "unstable" in about:
        options["repeats"] = (5, "scores depend on the seed")


def _source(evidence: Evidence, plans: dict[str, _Plan], options: dict[str, tuple[Any, str]]) -> str:
    lines: list[str] = []
    unknown: list[str] = []
    done: set[str] = set()
    for name in evidence.space.names:
        kind = family(name)
        if kind not in _ARGUMENTS or kind in done:
            continue
        own = [other for other in plans if family(other) == kind]
        if kind in _PER_LAYER and own != [kind]:
            texts = [_values(plans[other], unknown, always_list=True) for other in own]
            text = f"[{', '.join(texts)}]" if all(texts) else ""
        elif _is_default(evidence, plans[name], kind):
            text = ""
        else:
            text = _values(plans[name], unknown)
        done.add(kind)
        reasons = [reason for other in own for reason in plans[other].reasons]
        if text:
            lines += [f"    # {reason}" for reason in reasons]
            lines.append(f'    "{_ARGUMENTS[kind]}": {text},')
    for name, (value, reason) in options.items():
        lines += [f"    # {reason}", f'    "{name}": {value!r},']
    lines += [f"    # add your own {one}: it has no name that could be written here" for one in dict.fromkeys(unknown)]
    head = "The next search."
    if evidence.winner is not None:
        best = evidence.trials[evidence.winner]
        settings = ", ".join(
            f"{n} {_short(evidence.space.label(n, best.configuration[n]))}"
            for n in evidence.varying()
            if n in best.configuration
        )
        mean = f"{evidence.objective} {evidence.mean[evidence.winner]:.4g}"
        head = _one_line(f"The next search, after trial {best.number} ({settings or 'the only one'}: {mean}).")
    body = "\n".join(lines)
    return (
        f"# {head}\nimport unitune\n\nspace = {{\n{body}\n}}\n\n\n"
        'def search(x, y=None, **options):\n    """Runs it on your data; options override what is in `space`."""\n'
        "    return unitune.tune(x, y, **{**space, **options})\n"
    )


def _is_default(evidence: Evidence, plan: _Plan, kind: str) -> bool:
    """Whether a single value is what a search takes by itself: the neutral one, or one that nobody gave or changed."""
    if plan.domain is not None or len(plan.values) != 1:
        return False
    if plan.values == [_NEUTRAL.get(kind, math.nan)]:
        return True
    return not plan.reasons and evidence.call is not None and _ARGUMENTS[kind] not in evidence.call


def _models(evidence: Evidence) -> str:
    """After `compare`: the models that are not worse than the recommended one with 95 %."""
    best = evidence.winner
    names = [str(trial.configuration.get("model", trial.number)) for trial in evidence.trials]
    keep = names
    if best is not None:
        alive = [place for place, trial in enumerate(evidence.trials) if trial.state == "complete"]
        keep = [names[place] for place in alive if not evidence.is_better([best], [place])]
    return (
        f"# The models that are not worse than the recommended one with 95 %.\nimport unitune\n\nkeep = {keep!r}\n\n\n"
        'def search(models, x, y=None, **options):\n    """Compares them again; try `repeats=3`, or more epochs."""\n'
        "    return unitune.compare({name: models[name] for name in keep}, x, y, **options)\n"
    )


def _values(plan: _Plan, unknown: list[str], *, always_list: bool = False) -> str:
    if plan.domain is not None:
        return f"unitune.{plan.domain!r}"
    texts = []
    for value in plan.values:
        text = _literal(value)
        if text is None:
            unknown.append("function" if callable(value) else type(value).__name__)
        else:
            texts.append(text)
    if not texts:
        return ""
    return texts[0] if len(texts) == 1 and not always_list else f"[{', '.join(texts)}]"


def _literal(value: Any) -> str | None:
    """The value as Python source; None for functions and other objects without a name that `tune` reads."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str):
        return None if value.startswith("lambda") else repr(value)
    if hasattr(value, "get_config"):
        from unitune.space.labels import label

        return repr(label(value))
    return None


def _in_order(values: list[Any]) -> list[Any]:
    return sorted(values) if all(is_number(value) for value in values) else values


def _round(value: float) -> float:
    return float(f"{value:.2g}")


def _short(value: Any) -> str:
    return _one_line(f"{value:.4g}" if isinstance(value, float) else str(value))


def _one_line(text: str) -> str:
    return " ".join(text.split())
