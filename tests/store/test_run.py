import math

import pytest

from unitune.records import Score, Trial
from unitune.space import Choice, Fixed, Hyperparameter, Space
from unitune.store.run import Run, ranked, trials_table

SPACE = Space(
    [
        Hyperparameter("layers", Choice([1, 2])),
        Hyperparameter("units_2", Choice([4, 8])),
        Hyperparameter("epochs", Fixed(3)),
    ]
)


def run(direction="maximize", objective="accuracy"):
    return Run(
        objective=objective,
        direction=direction,
        metrics=(objective,),
        task="binary",
        space=SPACE,
        strategy="grid",
        engine="fused",
        seed=0,
        folds={"n_folds": 2, "repeats": 1, "validation_ratio": 1.0, "kind": "2 folds"},
        data={},
        notes=("a note",),
    )


def trial(number, mean=None, *, parameters=10, metric="accuracy", **configuration):
    if mean is None:
        return Trial(number=number, configuration=configuration, state="failed", failure="it diverged")
    score = Score(metric=metric, mean=mean, std=0.1, low=mean, high=mean, train=1.0, values=(mean, mean))
    return Trial(
        number=number, configuration=configuration, state="complete", scores={metric: score}, n_parameters=parameters
    )


@pytest.mark.parametrize(("direction", "expected"), [("maximize", [3, 1, 2]), ("minimize", [1, 3, 2])])
def test_the_best_comes_first_and_failed_last(direction, expected):
    trials = [trial(1, 0.5), trial(2), trial(3, 0.9)]
    assert [one.number for one in ranked(trials, "accuracy", direction)] == expected


def test_of_equals_the_smaller_network_comes_first():
    trials = [trial(1, 0.5, parameters=20), trial(2, 0.5, parameters=10), trial(3, 0.5, parameters=10)]
    assert [one.number for one in ranked(trials, "accuracy", "maximize")] == [2, 3, 1]


def test_a_score_that_is_nan_comes_last():
    assert [one.number for one in ranked([trial(1, math.nan), trial(2, 0.1)], "accuracy", "minimize")] == [2, 1]


def test_the_table_shows_what_varies_and_whole_numbers_stay_whole():
    table = trials_table([trial(1, 0.5, layers=1, epochs=3), trial(2, 0.6, layers=2, units_2=8, epochs=3)], run())
    assert table.columns.tolist()[8:10] == ["layers", "units_2"]
    assert "epochs" not in table
    assert "failure" not in table
    assert table["units_2"].tolist()[0] == 8
    assert table["units_2"].isna().tolist() == [False, True]
    assert str(table["units_2"].dtype) == "Int64"


def test_failures_are_told_where_there_are_any():
    table = trials_table([trial(1, 0.5, layers=1), trial(2, layers=2)], run())
    assert table["failure"].tolist() == ["", "it diverged"]
    assert table["rank"].isna().tolist() == [False, True]


def test_a_run_survives_json():
    once = run()
    again = Run.from_json(once.to_json())
    assert again.notes == ("a note",)
    assert again.space.to_json() == once.space.to_json()
    assert again.to_json() == once.to_json()
