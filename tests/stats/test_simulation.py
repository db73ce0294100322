"""The statistics on searches whose truth is known, few of them; `python -m bench.simulation` runs many.

Limits are those that the figures of the full simulation pass with the noise of so few searches.
"""

import functools

import pytest

SEARCHES = 200


@pytest.fixture(scope="module")
def found(simulation):
    settings = {one.space.__name__: one for one in simulation.REDUCED}
    return functools.cache(lambda space: simulation.figures(settings[space], searches=SEARCHES, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize(
    "space", ["null", *(pytest.param(one, marks=pytest.mark.exhaustive) for one in ("spread", "slope"))]
)
class TestSearches:
    def test_the_interval_of_the_recommended_covers_its_truth(self, found, space):
        # 95 % of 200 give 180 or more in 99.8 % of cases.
        assert found(space).coverage >= 0.9

    def test_what_to_expect_flatters_less_than_the_score(self, found, space):
        one = found(space)
        assert one.bias <= one.naive_bias
        # Along a slope of which the model is not told it still flatters by 0.4 standard errors, as the docs say.
        assert one.bias < (0.5 if space == "slope" else 0.25) + 3 * one.bias_error

    def test_the_credible_set_holds_the_best(self, found, space):
        # Along a slope of which the model is not told, its set is too small: 79 % of 200, as the docs say.
        assert found(space).holds_best >= (0.7 if space == "slope" else 0.9)

    def test_worse_is_rarely_false(self, found, space):
        assert found(space).false_worse <= 0.05
        # 5 % of 200 give 19 or fewer in 99.7 % of cases.
        assert found(space).raced <= 19 / SEARCHES


@pytest.mark.slow
def test_the_score_is_too_good_where_nothing_differs(found):
    assert found("null").naive_bias > 0.5
