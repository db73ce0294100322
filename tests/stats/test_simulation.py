"""The statistics on searches whose truth is known, few of them; `python -m bench.simulation` runs many.

Limits are those that the figures of the full simulation pass with the noise of so few searches.
"""

import pytest

SEARCHES = 200


@pytest.fixture(scope="module")
def found(simulation):
    settings = simulation.REDUCED
    return {one.space.__name__: simulation.figures(one, searches=SEARCHES, seed=1, n_bags=200) for one in settings}


@pytest.mark.slow
@pytest.mark.parametrize("space", ["null", "spread", "slope"])
class TestSearches:
    def test_the_interval_covers_the_truth(self, found, space):
        # 95 % of 200 give 180 or more in 99.8 % of cases.
        assert found[space].coverage >= 0.9

    def test_the_estimate_is_not_biased(self, found, space):
        one = found[space]
        assert abs(one.bias) < 0.1 + 3 * one.bias_error
        assert one.naive_bias > one.bias

    def test_the_tied_set_holds_the_best(self, found, space):
        assert found[space].holds_best >= 0.95

    def test_better_is_rarely_false(self, found, space):
        # 5 % of 200 give 19 or fewer in 99.7 % of cases.
        assert found[space].false_better <= 19 / SEARCHES

    def test_the_model_covers_holds_the_best_and_is_rarely_wrong(self, found, space):
        one = found[space]
        assert one.model_coverage >= 0.9
        # Along a slope of which the model is not told, its set is too small: 79 % of 200, as the docs say.
        assert one.credible_holds >= (0.7 if space == "slope" else 0.9)
        assert one.credible < one.tied
        assert one.false_worse <= 0.05


@pytest.mark.slow
def test_the_naive_score_is_too_good_where_nothing_differs(found):
    assert found["null"].naive_bias > 0.5
