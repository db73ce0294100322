"""One answer does not contradict itself: twenty varied searches, and what each says in all its places."""

from __future__ import annotations

import html
import re
import warnings

import numpy as np
import pytest

import unitune
from unitune.cli.view import show
from unitune.report.gallery import Gallery
from unitune.report.numbers import score_format
from unitune.report.page import page
from unitune.result.facts import facts_of

pytestmark = pytest.mark.slow

ROWS = 120


def bent(noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, 4))
    return x, (x[:, 0] + x[:, 1] ** 2 + noise * rng.normal(size=ROWS) > 1).astype(int)


def luck():
    rng = np.random.default_rng(1)
    return rng.normal(size=(ROWS, 4)), rng.integers(0, 2, ROWS)


def rare():
    x, _ = bent()
    return x, (np.arange(ROWS) % 15 == 0).astype(int)


def easy():
    x, _ = bent()
    return x, (x[:, 0] > 0).astype(int)


def wide():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(ROWS, 160))
    return x, (x[:, :8].sum(axis=1) + rng.normal(size=ROWS) > 0).astype(int)


def numbers(scale=1.0):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(ROWS, 4))
    return x, scale * (x @ np.arange(4) + 0.5 * rng.normal(size=ROWS))


GRID = {"units": [2, 8, 32], "activations": ["relu", "tanh"]}
PAIR = {"units": [4, 32], "activations": ["relu"]}
SEARCHES = {
    "a grid": (bent(), {**GRID, "epochs": 10, "folds": 3}),
    "too short": (bent(), {**PAIR, "epochs": 2, "folds": 3}),
    "long": (bent(), {**PAIR, "epochs": 60, "folds": 3}),
    "until learnt": (bent(0.1), {**PAIR, "folds": 3}),
    "nothing but luck": (luck(), {**GRID, "epochs": 10, "folds": 3}),
    "luck, learnt by heart": (luck(), {**PAIR, "epochs": 60, "folds": 3}),
    "a rare class": (rare(), {**PAIR, "epochs": 10, "folds": 3}),
    "easy": (easy(), {**PAIR, "epochs": 60, "folds": 3}),
    "more columns than rows": (wide(), {**PAIR, "epochs": 40, "folds": 3}),
    "numbers": (numbers(), {**GRID, "epochs": 20, "folds": 3}),
    "large numbers": (numbers(1e6), {**PAIR, "epochs": 5, "folds": 2, "task": "regression"}),
    "small numbers": (numbers(1e-6), {**PAIR, "epochs": 40, "folds": 3, "task": "regression"}),
    "one hold-out": (bent(), {**GRID, "epochs": 10, "validation_split": 0.3}),
    "repeats": (bent(), {**PAIR, "epochs": 10, "folds": 3, "repeats": 3}),
    "spent": (bent(), {**GRID, "epochs": 10, "folds": 3, "spend": "repeats", "time_limit_s": 20}),
    "no tolerance": (bent(), {**GRID, "epochs": 10, "folds": 3, "tolerance": 0}),
    "a range": (
        bent(),
        {
            "units": "2:64:log",
            "activations": ["relu", "tanh"],
            "learning_rates": "1e-3:1e-1:log",
            "strategy": "random",
            "trials": 12,
            "epochs": 10,
            "folds": 3,
        },
    ),
    "stopped early": (bent(), {**GRID, "strategy": "halving", "epochs": 9, "folds": 2}),
    "one trial": (bent(), {"units": 8, "activations": "relu", "epochs": 10, "folds": 3}),
    "rates": (
        bent(),
        {"units": 8, "activations": "relu", "learning_rates": [1e-5, 1e-2, 10.0], "epochs": 10, "folds": 3},
    ),
}


@pytest.fixture(scope="module", params=SEARCHES, ids=[name.replace(" ", "-") for name in SEARCHES])
def answer(request):
    rows, options = SEARCHES[request.param]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return unitune.tune(*rows, progress=False, **options)


def finding(answer, kind):
    return next((one for one in answer.findings if one.kind == kind and "hyperparameter" not in one.evidence), None)


def next_space(answer):
    made = {}
    exec(answer.next_space(), made)
    return made["space"]


def test_one_trial_is_taken_and_has_one_interval(answer):
    row = answer.table().set_index("trial").loc[answer.recommended.number]
    assert "recommended" in row["pick"]
    assert answer.recommended.number in answer.credible
    estimate = answer.estimate
    np.testing.assert_equal((estimate.mean, estimate.low, estimate.high), (row["expected"], row["low"], row["high"]))
    if len(answer.trials) > 1:
        assert f"(trial {answer.recommended.number})" in answer.conclusion[0]
    assert f"of {estimate.mean:.4g}" in answer.conclusion[1]
    assert estimate.low <= estimate.mean <= estimate.high
    assert estimate.low < estimate.high or np.isnan(estimate.low)


def test_what_would_settle_it_is_said_alike(answer):
    said, found = answer.conclusion[2], finding(answer, "noise_dominated")
    advice = "" if found is None else found.advice
    if "would not settle it" in said:
        assert "to settle it" not in advice
        assert "matters little" not in advice
    elif "matters little" in said or "Nothing is open" in said:
        assert "settle it" not in advice
    elif "would settle it" in said and found is not None:
        assert "to settle it" in advice
    number = re.search(r"Which of ([\d,]+) trials", said)
    if number:
        assert int(number[1].replace(",", "")) == len(answer.credible)
        if found is not None:
            assert found.title.startswith(f"{len(answer.credible)} of ")


def test_the_next_space_keeps_what_is_recommended(answer):
    space, chosen = next_space(answer), answer.recommended.configuration
    if finding(answer, "learning_rate_high") or finding(answer, "diverged") or finding(answer, "learning_rate_low"):
        return
    for argument, name in (("units", "units"), ("activations", "activation")):
        values = space[argument]
        if hasattr(values, "low"):
            assert values.low <= chosen[name] <= values.high
        else:
            assert chosen[name] in (values if isinstance(values, list) else [values])


def test_the_next_space_does_what_the_findings_advise(answer):
    space, chosen = next_space(answer), answer.recommended.configuration
    for kind in ("too_few_epochs", "underfit"):
        found = finding(answer, kind)
        advised = re.search(r"`epochs=(\d+)", found.advice) if found is not None else None
        if advised and answer.recommended.number == found.trials[0]:
            assert space["epochs"] > chosen["epochs"]
    edge = next((one for one in answer.findings if one.kind == "edge_of_space"), None)
    if edge is not None and edge.evidence["hyperparameter"] == "units":
        beyond = [int(value) for value in re.findall(r"\d+", edge.advice.partition("units")[2])]
        values = space["units"]
        assert values.high >= max(beyond) if hasattr(values, "low") else set(beyond) <= set(values)
    knee = finding(answer, "plateaued_capacity")
    if knee is not None:
        assert edge is None or edge.evidence["hyperparameter"] != "units"
        assert knee.evidence["knee"] >= chosen["units"]


def test_scores_and_simpler_models_are_told_alike(answer):
    chosen = answer.recommended
    mean = chosen.scores[answer.run.objective].mean
    for kind in ("linear_as_good", "boosting_ahead"):
        found = finding(answer, kind)
        if found is not None:
            assert found.evidence["network"] == pytest.approx(mean)
            assert found.trials == (chosen.number,)
    underfit, linear = finding(answer, "underfit"), finding(answer, "linear_as_good")
    if underfit is not None and linear is not None and "is better" in linear.title:
        assert "Try `units" not in underfit.advice
    if underfit is not None and finding(answer, "boosting_ahead") is not None:
        assert "may not hold more" not in underfit.advice
    assert not (finding(answer, "generalization_gap") and finding(answer, "underfit"))


def test_the_page_says_the_same_and_nothing_fits_well_by_default(answer):
    facts = facts_of(answer)
    assert facts.conclusion == tuple(answer.conclusion)
    assert facts.recommended == answer.recommended.number
    assert set(facts.credible) == set(answer.credible)
    gallery, recommended = Gallery(facts), answer.recommended
    assert all(panel.verdict for panel in gallery.panels())
    found = finding(answer, "generalization_gap")
    if found is not None:
        assert "fits well" not in {panel.verdict for panel in gallery.panels(found.trials[0])}
    if "log_loss" in recommended.scores:
        explained = 1 - recommended.scores["log_loss"].mean / answer.run.data["baseline_loss"]
        assert explained > 0.2 or "fits well" not in {panel.verdict for panel in gallery.panels(recommended.number)}


ONE_OF_MANY = re.compile(r"(?<![\d.,])1 (trials|networks(?! trained)|rows|repeats|folds|epochs)\b")
NOT_FEWER = re.compile(r"0\.\d+ times (fewer|more|less)")


def words_of(page_or_terminal):
    inline = re.sub(r"</?(code|b|strong|em|wbr)\b[^>]*>|`", "", page_or_terminal)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", inline)).split())


def test_terminal_and_page_say_what_the_answer_says(answer, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    show(answer)
    terminal = words_of(capsys.readouterr().out)
    body = page(facts_of(answer)).partition("<body")[2]
    texts = {"terminal": terminal, "page": words_of(re.sub(r"<(script|style)\b.*?</\1>", " ", body, flags=re.DOTALL))}
    for place, text in texts.items():
        for sentence in (*answer.conclusion, *(one.title for one in answer.findings)):
            assert words_of(sentence) in text, place
        assert not ONE_OF_MANY.search(text), place
        assert not NOT_FEWER.search(text), place
    row = answer.table().set_index("trial").loc[answer.recommended.number]
    if np.isfinite(row["low"]):
        number = score_format(answer.table()[["mean", "low", "high"]].to_numpy(float).ravel())
        assert f"{number(row['low'])} to {number(row['high'])}" in terminal
