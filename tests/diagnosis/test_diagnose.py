import importlib.util
from pathlib import Path

import numpy as np
import pytest

from unitune.diagnosis import KINDS, diagnose, next_space
from unitune.diagnosis.generalization_gap import fits_well

spec = importlib.util.spec_from_file_location("diagnosis_cases", Path(__file__).with_name("cases.py"))
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)
curve, search = cases.curve, cases.search


def kinds(evidence):
    return {finding.kind for finding in diagnose(evidence)}


def only(kind, evidence):
    (finding,) = [f for f in diagnose(evidence) if f.kind == kind and "hyperparameter" not in f.evidence]
    return finding


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_built_in_is_found_and_has_words_and_numbers(kind):
    findings = [f for f in diagnose(cases.built(kind, seed=1)) if f.kind == kind]
    assert findings
    for finding in findings:
        assert finding.title
        assert finding.advice
        assert finding.evidence
        assert finding.trials


@pytest.mark.parametrize("seed", range(10))
def test_a_healthy_trial_has_no_findings(seed):
    assert diagnose(cases.built("healthy", seed)) == ()


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("noise_dominated", "edge_of_space")])
def test_nothing_else_is_found_beside_what_was_built_in(kind):
    beside = {"plateaued_capacity": {"noise_dominated"}, "diverged": set()}.get(kind, set())
    assert kinds(cases.built(kind, seed=2)) - {kind} <= beside


def test_warnings_come_first():
    both = search(
        [{"units": u} for u in (8, 16, 32)],
        scores=(0.7, 0.8, 0.9),
        probes={**cases.HEALTHY_PROBES, "dead_units": [0.9, 0.1]},
    )
    severities = [f.severity for f in diagnose(both)]
    assert severities == sorted(severities, key=["warning", "advice", "info"].index)
    assert severities[0] == "warning"


def test_overfitting_began_where_it_began_and_what_closes_it_is_named():
    rows = [{"dropout": 0.0}, {"dropout": 0.5}]
    flat = curve(0.65, 0.25, 40)
    evidence = search(
        rows, scores=(0.9, 0.89), validation=[cases.RISING, flat], train=[curve(0.65, 0.01, 40), curve(0.65, 0.2, 40)]
    )
    finding = only("overfit", evidence)
    assert 12 <= finding.evidence["began_epoch"] <= 18
    assert finding.severity == "warning"
    assert "dropout 0.5" in finding.advice


def test_overfitting_that_early_stopping_avoided_is_no_warning():
    evidence = search(validation=cases.RISING, train=curve(0.65, 0.01, 40), best_epoch=np.full(5, 15))
    assert only("overfit", evidence).severity == "info"


def test_a_trial_that_others_beat_on_both_kinds_of_rows_underfits():
    flat = curve(0.68, 0.55, 40, speed=12)
    rows = [{"units": 2}, {"units": 64}]
    sure = search(rows, scores=(0.91, 0.9), train=flat, validation=flat, explained=[(0.2, 0.19), (0.6, 0.5)])
    assert "underfit" in kinds(sure)
    noise = search(rows, scores=(0.91, 0.9), train=flat, validation=flat, explained=[(0.2, 0.19), (0.6, 0.1)])
    assert "underfit" not in kinds(noise)


def test_epochs_to_try_are_more_and_not_absurd():
    finding = only("too_few_epochs", cases.built("too_few_epochs", 0))
    assert 80 <= finding.evidence["epochs_to_try"] <= 400


def test_stopping_early_is_not_too_few_epochs():
    slow = np.linspace(0.68, 0.5, 20)
    assert "too_few_epochs" not in kinds(search(train=slow, validation=slow))


def test_dead_units_say_where_and_since_when():
    shares = np.zeros((1, 40, 2))
    shares[:, 10:, 1] = 0.8
    finding = only("dead_units", search(probes={"dead_units": shares}))
    assert (finding.evidence["layer"], finding.evidence["began_epoch"]) == (2, 11)
    assert "learning_rates=" in finding.advice


def test_the_ignored_class_is_named():
    finding = only("class_ignored", cases.built("class_ignored", 0))
    assert finding.evidence["class"] == "malignant"
    assert "malignant" in finding.title


def test_a_class_of_a_few_rows_is_not_called_ignored():
    assert "class_ignored" not in kinds(search(recall=np.tile([1.0, 0.0], (5, 1)), class_counts=(560, 9)))


def test_edges_say_how_far_to_go_on():
    finding = only_edge(cases.built("edge_of_space", 0))
    assert "64, 128" in finding.advice
    low = search([{"learning_rate": r} for r in (1e-4, 1e-3, 1e-2)], scores=(0.95, 0.9, 0.8))
    assert "1e-06, 1e-05" in only_edge(low).advice


def only_edge(evidence):
    (finding,) = [f for f in diagnose(evidence) if f.kind == "edge_of_space"]
    return finding


@pytest.mark.parametrize(
    ("name", "values", "scores"),
    [
        ("dropout", (0.0, 0.2, 0.4), (0.9, 0.8, 0.7)),
        ("units", (8, 16, 32), (0.7, 0.9, 0.7)),
        ("activation", ("relu", "tanh", "gelu"), (0.7, 0.8, 0.9)),
        ("layers", (4, 6, 8), (0.7, 0.8, 0.9)),
    ],
)
def test_where_nothing_lies_beyond_there_is_no_edge(name, values, scores):
    assert "edge_of_space" not in kinds(search([{name: v} for v in values], scores=scores))


def test_the_knee_is_the_smallest_width_that_is_as_good():
    (finding,) = [f for f in diagnose(cases.built("plateaued_capacity", 0)) if f.kind == "plateaued_capacity"]
    assert finding.evidence["knee"] == 16


def test_clear_differences_are_no_noise():
    rows = [{"units": u} for u in (4, 8, 16, 32)]
    assert "noise_dominated" not in kinds(search(rows, scores=(0.6, 0.7, 0.95, 0.8)))


def test_noise_points_to_the_recommended_trial():
    finding = next(f for f in diagnose(search(cases.GRID, credible=(5, 2, 6))) if f.kind == "noise_dominated")
    assert finding.trials == (5, 2, 6)
    assert finding.advice.endswith("take the recommended trial.")


def test_groups_are_summarised_by_activation():
    rows = [{"units": u, "activation": a} for a in ("relu", "tanh") for u in (16, 32, 64)]
    shares = np.zeros((30, 40, 1))
    shares[15:] = 0.9
    evidence = search(rows, scores=(0.95, 0.94, 0.93, 0.8, 0.8, 0.8), probes={})
    evidence = type(evidence)(**{**vars_of(evidence), "probes": {"saturated": shares}})
    (finding,) = [f for f in diagnose(evidence) if f.kind == "saturation"]
    assert finding.trials == (4, 5, 6)
    assert finding.evidence["share_tanh"] == 1
    assert finding.evidence["share_relu"] == 0
    assert "tanh in 3 of 3 trials" in finding.title


def vars_of(evidence):
    return {name: getattr(evidence, name) for name in evidence.__dataclass_fields__}


def test_without_probes_rules_that_need_them_are_silent():
    needing = {"dead_units", "saturation", "vanishing_gradients", "exploding_gradients"}
    assert not needing & kinds(search(cases.GRID))


def test_one_split_and_one_epoch_break_nothing():
    assert isinstance(diagnose(search(cases.GRID, members=1)), tuple)
    assert isinstance(diagnose(search(train=[0.6], validation=[0.6])), tuple)


def test_a_search_in_which_all_failed_is_diagnosed():
    nan = np.full(40, np.nan)
    evidence = search([{"units": 8}, {"units": 16}], scores=(None, None), train=nan, validation=nan)
    assert kinds(evidence) == {"diverged"}


def test_many_trials_are_judged_at_once():
    rows = [{"learning_rate": 0.001 + 1e-7 * i} for i in range(2000)]
    assert isinstance(diagnose(search(rows, scores=np.linspace(0.8, 0.9, 2000), epochs=10)), tuple)


def test_a_network_that_is_far_better_on_its_own_rows_does_not_fit_well():
    """200 columns on 120 rows: the training score is 1, the other is not, and no curve shows it."""
    learnt_by_heart = search([{"units": 8}, {"units": 64}], explained=[(0.98, 0.1), (0.97, 0.8)], scores=(0.9, 0.8))
    finding = only("generalization_gap", learnt_by_heart)
    assert finding.evidence["gap"] == pytest.approx(0.88)
    assert fits_well(learnt_by_heart).tolist() == [False, False]
    assert fits_well(search(explained=(0.9, 0.85))).tolist() == [True]
    assert fits_well(search(explained=(0.2, 0.18))).tolist() == [False]


def test_where_a_linear_model_is_better_capacity_is_not_what_is_missing():
    flat = curve(0.68, 0.55, 40, speed=12)
    one = search(
        train=flat, validation=flat + 0.01, explained=(0.2, 0.18), scores=(0.7,), references={"linear": (0.9,) * 5}
    )
    underfit = only("underfit", one)
    assert "Try `units" not in underfit.advice
    assert "do not hold more" not in underfit.advice
    assert "train longer" in underfit.advice
    source = next_space(one, diagnose(one))
    assert "time is missing, not capacity" in source
    assert "underfitting" not in source


def test_repeats_of_a_network_are_averaged_beside_a_reference():
    network = search(scores=(0.7,), members=10, references={"linear": (0.9,) * 5})
    finding = only("linear_as_good", network)
    assert finding.evidence["network"] == pytest.approx(float(network.mean[0]))
    assert "A linear model is better" in finding.title
