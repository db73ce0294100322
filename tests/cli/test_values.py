import re

import pytest

from unitune.cli import values
from unitune.errors import InputError, OptionError


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("balanced", "balanced"),
        ("yes=2,no=0.5", {"yes": 2.0, "no": 0.5}),
        ("0=1, 1=3", {"0": 1.0, "1": 3.0}),
        ("a=b=2", {"a=b": 2.0}),
    ],
)
def test_class_weight(text: str, means: object) -> None:
    assert values.class_weight(text) == means


@pytest.mark.parametrize("text", ["yes=", "yes=2,no", "=,"])
def test_class_weight_that_is_none(text: str) -> None:
    with pytest.raises(OptionError, match="class-weight"):
        values.class_weight(text)


def test_configuration_takes_dashes_and_underscores(tmp_path) -> None:
    path = tmp_path / "space.toml"
    path.write_text('units = [16, 32]\nlearning-rates = "1e-4:1e-2:log"\nbatch_sizes = 64\n')
    read = values.configuration(path, ["units", "learning_rates", "batch_sizes"])
    assert read == {"units": [16, 32], "learning_rates": "1e-4:1e-2:log", "batch_sizes": 64}


@pytest.mark.parametrize("text", ["KFolds", "KFold(folds=3)", "KFold(n_splits=1)", "KFold(3", "train_test_split"])
def test_splitter_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match=re.escape(text)):
        values.splitter(text)


def test_splitter() -> None:
    made = values.splitter("ShuffleSplit(n_splits=3, test_size=0.5, random_state=0)")
    assert [len(validation) for _, validation in made.split(range(10))] == [5, 5, 5]


@pytest.mark.parametrize("text", ["units", "units=,activation=relu", "=3"])
def test_baseline_that_is_none(text: str) -> None:
    with pytest.raises(OptionError, match="baseline"):
        values.baseline(text)
