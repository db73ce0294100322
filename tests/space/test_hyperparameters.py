import pytest

from unitune.errors import SpaceError
from unitune.space.hyperparameters import Boolean, Choice, Fixed, Float, HyperParameters, Int, Parent


def mean(values):
    return sum(values)


@pytest.mark.parametrize(
    ("kind", "listed"),
    [
        (Int("a", 6, 13, step=3), [6, 9, 12]),
        (Int("a", 2, 32, step=2, sampling="log"), [2, 4, 8, 16, 32]),
        (Float("a", 0, 1, step=0.2), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (Float("a", 0.001, 10, step=10, sampling="log"), [0.001, 0.01, 0.1, 1.0, 10.0]),
        (Choice("a", [None, (8, 4), (16,)]), [None, (8, 4), (16,)]),
        (Choice("a", [mean, max]), [mean, max]),
        (Choice("a", ["median", mean, None]), ["median", mean, None]),
        (Choice("a", [3, (3, 5)]), [3, (3, 5)]),
        (Boolean("a"), [True, False]),
        (Fixed("a", "x"), ["x"]),
    ],
)
def test_every_value_has_its_part_of_the_unit_interval(kind, listed):
    assert list(kind.values) == listed
    for value in listed:
        assert kind.prob_to_value(kind.value_to_prob(value)) == value
    assert {kind.prob_to_value(i / 1000) for i in range(1001)} == set(listed)
    assert kind.random_sample(3) == kind.random_sample(3)
    assert all(kind.contains(value) for value in listed)


@pytest.mark.parametrize("sampling", ["linear", "log", "reverse_log"])
def test_a_range_without_steps_is_covered_from_end_to_end(sampling):
    kind = Float("a", 1e-3, 1.0, sampling=sampling)
    assert (kind.prob_to_value(0.0), kind.prob_to_value(1.0)) == (1e-3, 1.0)
    drawn = [kind.prob_to_value(i / 100) for i in range(101)]
    assert drawn == sorted(drawn)
    half = drawn[50]
    assert {"linear": half > 0.4, "log": half < 0.1, "reverse_log": half > 0.9}[sampling]
    assert kind.value_to_prob(half) == pytest.approx(0.5)


def test_reverse_log_is_fine_at_the_top():
    values = Float("a", 0.01, 100, step=10, sampling="reverse_log").values
    assert values == (100.0, 99.91, 99.01, 90.01, 0.01)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Int("a", 1.5, 3), "must be an int"),
        (lambda: Int("a", 3, 1), "greater than the max_value"),
        (lambda: Int("a", 0, 3, sampling="log"), "does not support"),
        (lambda: Int("a", 1, 8, step=1, sampling="log"), "expected step > 1"),
        (lambda: Float("a", 0, 1, sampling="cubic"), "sampling must be one of"),
        (lambda: Choice("a", []), "must be provided"),
        (lambda: Choice("a", [1, 2], default=3), "one of the choices"),
        (lambda: Choice("a", ["x"], ordered=True), "must be `False`"),
        (lambda: Fixed("a", None), "value must be"),
        (lambda: Boolean("a", default=1), "Python boolean"),
    ],
)
def test_what_breaks_a_rule_says_which(make, said):
    with pytest.raises(SpaceError, match=said):
        make()


@pytest.mark.parametrize("values", [[1, "a"], [1, "a", None, mean], [{"a": 1}]])
def test_choices_are_of_one_type(values):
    with pytest.raises(TypeError, match="can contain only"):
        Choice("a", values)


def test_inactive_hyperparameters_have_no_value():
    hp = HyperParameters()
    hp.Choice("kind", ["mlp", "cnn"], default="cnn")
    with hp.conditional_scope("kind", "mlp"):
        assert hp.Int("units", 1, 4) is None
    with hp.conditional_scope("kind", ["cnn"]), hp.name_scope("first"):
        assert hp.Int("filters", 8, 32) == 8
    assert hp.values == {"kind": "cnn", "first/filters": 8}
    assert "units" not in hp
    with pytest.raises(SpaceError, match="inactive"):
        hp["units"]
    with pytest.raises(KeyError, match="does not exist"):
        hp.get("depth")
    assert hp.as_space().active({"kind": "mlp", "units": 2}) == {"kind": "mlp", "units": 2}


def test_values_that_were_set_are_returned():
    hp = HyperParameters()
    hp.values = {"units": 48}
    assert hp.Int("units", 16, 64, step=16) == 48


def test_one_name_with_two_domains_is_told():
    hp = HyperParameters()
    hp.Int("units", 8, 16)
    assert hp.Int("units", 8, 16) == 8  # the same question again
    with pytest.raises(SpaceError, match="`units` must be asked for with one domain"):
        hp.Int("units", 8, 32)


def test_a_domain_that_was_given_before_overrides_the_functions():
    given = HyperParameters()
    given.Fixed("units", 5)
    assert given.copy().Int("units", 8, 16) == 5


def test_copies_and_configurations_are_independent():
    hp = HyperParameters()
    hp.Choice("a", [None, 2])
    hp.Int("b", 1, 9, parent_name="a", parent_values=[None])
    for other in (hp.copy(), HyperParameters.from_config(hp.get_config())):
        assert other.values == hp.values
        assert [one.get_config() for one in other.space] == [one.get_config() for one in hp.space]
        other.values["a"] = 2
        other.Float("c", 0, 1)
    assert hp.values == {"a": None, "b": 1}
    assert [one.name for one in hp.space] == ["a", "b"]


def test_merging_overwrites_unless_told_not_to():
    hp, other = HyperParameters(), HyperParameters()
    hp.Int("a", 0, 9, default=4)
    other.Fixed("a", 7)
    other.Fixed("b", 1)
    kept = hp.copy()
    kept.merge(other, overwrite=False)
    assert kept.values == {"a": 4, "b": 1}
    hp.merge(other)
    assert hp.values == {"a": 7, "b": 1}


def test_missing_active_values_are_drawn_and_inactive_ones_dropped():
    hp = HyperParameters()
    hp.Boolean("a", default=True)
    hp.Int("b", 1, 3, parent_name="a", parent_values=True)
    hp.values = {"a": False, "b": 2}
    hp.ensure_active_values()
    assert hp.values == {"a": False}
    hp.values = {"a": True}
    hp.ensure_active_values()
    assert hp.values["b"] in (1, 2, 3)


def test_a_space_lists_what_the_function_can_ask_for():
    hp = HyperParameters()
    hp.Int("layers", 1, 2)
    hp.Int("units", 8, 16, step=8, parent_name="layers", parent_values=[1])
    hp.Int("units", 16, 32, step=16, parent_name="layers", parent_values=[2])
    space = hp.as_space()
    assert space["units [layers=1]"].domain.values() == (8, 16)
    assert space["units [layers=2]"].domain.values() == (16, 32)
    assert space.size == 2 + 2
    assert hp.values_of({"layers": 2, "units [layers=2]": 32}) == {"layers": 2, "units": 32}


def test_a_domain_that_is_asked_for_under_two_conditions_is_one_hyperparameter():
    hp = HyperParameters()
    hp.Choice("kind", ["a", "b", "c"])
    hp.Int("units", 8, 16, step=8, parent_name="kind", parent_values=["a"])
    hp.Int("units", 8, 16, step=8, parent_name="kind", parent_values=["b"])
    space = hp.as_space()
    assert space.names == ("kind", "units")
    assert space.active({"kind": "c", "units": 8}) == {"kind": "c"}
    assert space.size == 2 + 2 + 1


def test_what_hangs_on_a_name_with_two_domains_hangs_on_the_one_with_its_values():
    hp = HyperParameters()
    hp.Choice("kind", ["a", "b"])
    hp.Choice("way", [1, 2], parent_name="kind", parent_values=["a"])
    hp.Choice("way", ["x", "y"], parent_name="kind", parent_values=["b"])
    hp.Int("units", 1, 3, parent_name="way", parent_values=["y"])
    assert hp.as_space().size == 2 + 1 + 3
    hp.Choice("way", [2, 3], parent_name="kind", parent_values=["c"])
    hp.Int("filters", 1, 3, parent_name="way", parent_values=[2])
    with pytest.raises(SpaceError, match="`way` has 2"):
        hp.as_space()


def test_labels_are_names_of_functions_and_leave_out_what_is_inactive():
    hp = HyperParameters()
    hp.Choice("activation", [mean, lambda values: values, lambda values: 2 * values, "relu"])
    hp.Boolean("deep", parent_name="activation", parent_values=["relu"])
    assert hp.labels() == {"activation": "mean"}
    hp.values["activation"] = hp.space[0].values[2]
    assert hp.labels() == {"activation": "lambda #2"}


def test_conditions_compare_and_tell_true_from_one():
    assert Parent("a", 1) == Parent("a", [1])
    assert not Parent("a", 1).is_active({"a": True})
