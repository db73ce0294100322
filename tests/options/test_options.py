"""Options are declared once: what is made of them is whole, and says what is declared."""

import inspect
import re
from dataclasses import FrozenInstanceError

import pytest

import unitune
from unitune.errors import OptionError
from unitune.options import Budget, CompareOptions, RunOptions, TuneOptions, description_of, flags_of
from unitune.sklearn import UnituneClassifier, UnituneRegressor

FACES = {"tune": TuneOptions, "compare": CompareOptions}


@pytest.mark.parametrize("name", FACES)
def test_signature_and_help_are_those_of_the_options(name):
    function, options = getattr(unitune, name), FACES[name]
    parameters = inspect.signature(function).parameters
    assert set(parameters) == set(options.names())
    defaults = {key: one.default for key, one in inspect.signature(options).parameters.items()}
    assert {key: one.default for key, one in parameters.items()} == defaults
    described = re.findall(r"^        ([\w, ]+): ", function.__doc__.partition("Returns:")[0], re.MULTILINE)
    assert {one for names in described for one in names.split(", ")} == set(parameters)
    assert "Flag" not in str(inspect.signature(function))


def test_every_flag_is_of_an_option_in_a_panel():
    for name, panel, flag in flags_of(TuneOptions):
        assert name in TuneOptions.names()
        assert panel
        assert flag.help.endswith((".", "..."))


@pytest.mark.parametrize("estimator", [UnituneClassifier, UnituneRegressor])
def test_parameters_of_an_estimator_are_options_with_their_defaults_or_none(estimator):
    defaults = {key: one.default for key, one in inspect.signature(TuneOptions).parameters.items()}
    for name, value in estimator().get_params().items():
        if name not in ("random_state", "progress"):
            assert value in (None, defaults[name]), name


def test_an_option_is_described_by_the_last_group_that_says_it():
    assert "as in its own `fit`" in description_of(CompareOptions, ["normalize"])
    assert "where they need it" in description_of(TuneOptions, ["normalize"])
    assert description_of(TuneOptions, ["l2"]).strip().startswith("l1, l2:")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"repeats": 0}, "`repeats` must be a whole number of at least 1"),
        ({"repeats": None}, "`repeats` must be a whole number of at least 1"),
        ({"repeats": True}, "`repeats` must be a whole number of at least 1"),
        ({"trials": 2.5}, "`trials` must be a whole number of at least 1"),
        ({"time_limit_s": float("nan")}, "`time_limit_s` must be a number of at least 0"),
        ({"target_score": "high"}, "`target_score` must be a number"),
        ({"tolerance": float("inf")}, "`tolerance` must be finite"),
        ({"spend": "all"}, '`spend` must be "repeats"'),
        ({"nested": 1}, "`nested` must be a whole number of at least 2"),
        ({"nested": 2, "validation_data": ([[1]], [1])}, "`nested` cannot be combined with `validation_data`"),
        ({"nested": 2, "cv": [([0], [1])]}, "`nested` splits anew"),
    ],
)
def test_what_is_out_of_range_is_refused_where_it_is_declared(options, said):
    with pytest.raises(OptionError, match=re.escape(said)):
        TuneOptions([[1.0]], [1], **options)


def test_an_unknown_option_is_a_type_error_as_in_every_function():
    with pytest.raises(TypeError, match="unitz"):
        unitune.tune([[1.0]], [1], unitz=3)


def test_options_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Budget(trials=3).trials = 4


@pytest.mark.parametrize(("options", "said"), [({"resume": True}, "`resume` needs"), ({"keep": 2}, "`keep` needs")])
def test_what_needs_a_run_folder_says_so(options, said):
    with pytest.raises(OptionError, match=said):
        RunOptions(**options).folder()
