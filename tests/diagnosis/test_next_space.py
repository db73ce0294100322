import importlib.util
from pathlib import Path

import numpy as np
import pytest

import unitune
from unitune.diagnosis import KINDS, diagnose, next_space
from unitune.models.dense import dense_space

spec = importlib.util.spec_from_file_location("diagnosis_cases", Path(__file__).with_name("cases.py"))
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)
OTHERS = ("patience", "class_weight", "objective", "repeats")


def proposed(evidence):
    source = next_space(evidence, diagnose(evidence))
    made = {}
    exec(source, made)
    assert callable(made["search"])
    return made["space"], source


@pytest.mark.parametrize("kind", ["healthy", *KINDS])
def test_it_is_source_that_runs_and_a_space_that_is_accepted(kind):
    space, _ = proposed(cases.built(kind, seed=3))
    assert dense_space(**{k: v for k, v in space.items() if k not in OTHERS}).size >= 1


def test_edges_are_widened_and_what_is_clearly_worse_is_dropped():
    space, source = proposed(cases.built("edge_of_space", 0))
    assert space["units"] == [32, 64, 128]
    assert "# 64, 128 added: the best was the largest" in source
    assert "dropped: with 95 % worse, accuracy by" in source


def test_beyond_the_knee_nothing_is_left_but_a_neighbour():
    assert proposed(cases.built("plateaued_capacity", 0))[0]["units"] == [16, 64]


@pytest.mark.parametrize(
    ("kind", "name", "holds"),
    [
        ("too_few_epochs", "epochs", lambda v: v > 40),
        ("overfit", "patience", lambda v: v >= 3),
        ("learning_rate_high", "learning_rates", lambda v: max(v) < 0.001),
        ("learning_rate_low", "learning_rates", lambda v: min(v) > 0.001),
        ("dead_units", "activations", lambda v: "leaky_relu" in v),
        ("vanishing_gradients", "activations", lambda v: "gelu" in v),
        ("class_ignored", "class_weight", lambda v: v == "balanced"),
        ("underfit", "units", lambda v: max(v) == 128),
    ],
)
def test_findings_change_what_they_are_about(kind, name, holds):
    assert holds(proposed(cases.built(kind, seed=1))[0][name])


def test_ranges_stay_ranges():
    rng = np.random.default_rng(0)
    rates = 10 ** rng.uniform(-4, -2, 30)
    evidence = cases.search(
        [{"learning_rate": float(r)} for r in rates], scores=0.9 - 0.1 * np.abs(np.log10(rates) + 3)
    )
    rows = [
        unitune.space.Hyperparameter("learning_rate", unitune.Float(1e-4, 1e-2, log=True))
        if h.name == "learning_rate"
        else h
        for h in evidence.space
    ]
    fields = {name: getattr(evidence, name) for name in evidence.__dataclass_fields__}
    space, _ = proposed(type(evidence)(**{**fields, "space": unitune.space.Space(rows)}))
    domain = space["learning_rates"]
    assert isinstance(domain, unitune.Float)
    assert 1e-4 < domain.low < 1e-3 < domain.high < 1e-2


def test_each_layer_keeps_its_own_units():
    rows = [{"units_1": a, "units_2": b, "layers": 2} for a in (8, 16) for b in (4, 8)]
    evidence = cases.search(rows)
    fields = {name: getattr(evidence, name) for name in evidence.__dataclass_fields__}
    kept = unitune.space.Space(h for h in evidence.space if h.name != "units")
    space, _ = proposed(type(evidence)(**{**fields, "space": kept}))
    assert space["units"] == [[8, 16], [4, 8]]


def test_functions_are_left_to_the_user():
    rows = [{"activation": "relu"}, {"activation": abs}]
    space, source = proposed(cases.search(rows))
    assert space["activations"] == "relu"
    assert "add your own function" in source


def test_after_a_comparison_the_good_models_are_kept():
    evidence = cases.search([{"model": "a"}, {"model": "b"}], scores=(0.9, 0.5))
    fields = {name: getattr(evidence, name) for name in evidence.__dataclass_fields__}
    only = unitune.space.Space(h for h in evidence.space if h.name == "model")
    made = {}
    exec(next_space(type(evidence)(**{**fields, "space": only}), ()), made)
    assert made["keep"] == ["a"]


def test_a_winner_that_is_also_in_a_summary_counts_as_itself():
    rows = [{"units": u} for u in (8, 16, 32) for _ in range(1)] + [{"units": 64}, {"units": 64}]
    slow, done = np.linspace(0.68, 0.35, 40), cases.curve(0.65, 0.1, 40)
    curves = [done, done, done, slow, slow]
    evidence = cases.search(rows, scores=(0.8, 0.8, 0.8, 0.9, 0.89), train=curves, validation=curves)
    space, _ = proposed(evidence)
    assert space["epochs"] > 40


def test_an_underfit_that_still_trains_gets_time_first():
    falling = np.linspace(0.70, 0.62, 40)
    space, _ = proposed(cases.search(train=falling, validation=falling, explained=(0.1, 0.1)))
    assert space["epochs"] == 160


def test_a_range_with_few_trials_stays_a_range_and_keeps_the_recommended():
    units = [4, 5, 7, 10, 14, 18, 27, 35, 47, 56]
    evidence = cases.search([{"units": u} for u in units], scores=0.9 - 0.05 * np.abs(np.log2(units) - np.log2(18)))
    rows = [
        unitune.space.Hyperparameter("units", unitune.Int(4, 64, log=True)) if h.name == "units" else h
        for h in evidence.space
    ]
    fields = {name: getattr(evidence, name) for name in evidence.__dataclass_fields__}
    ranged = type(evidence)(**{**fields, "space": unitune.space.Space(rows)})
    space, source = proposed(ranged)
    assert "every trial failed" not in source
    assert space["units"].low <= ranged.trials[ranged.winner].configuration["units"] <= space["units"].high
    for finding in diagnose(ranged):
        if finding.kind == "plateaued_capacity":  # a width of a trial, not the middle of a stretch
            assert finding.evidence["knee"] in units


def test_what_the_search_takes_by_itself_is_left_out_and_patience_is_kept():
    evidence = cases.built("healthy", 0)
    fields = {name: getattr(evidence, name) for name in evidence.__dataclass_fields__}
    given = type(evidence)(**{**fields, "call": {"units": [32], "activations": ["relu"], "patience": 7}})
    made = {}
    exec(next_space(given, ()), made)
    assert set(made["space"]) == {"units", "activations", "patience"}
    assert made["space"]["patience"] == 7
