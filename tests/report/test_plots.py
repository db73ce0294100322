"""The figures one by one: drawn from prepared data by Plotly, and as pictures by Matplotlib."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

from unitune.models.blueprint import Blueprint, LayerSpec
from unitune.report.colors import SCALE, at, ink_on
from unitune.report.draw.parts import architecture_svg
from unitune.report.gallery import Gallery
from unitune.report.prepared.architecture import diagram, layers_of, n_features_of
from unitune.report.prepared.health import health
from unitune.report.prepared.heatmap import outline, units_by_activation
from unitune.report.prepared.interplay import shares
from unitune.report.prepared.intervals import intervals
from unitune.report.prepared.pareto import pareto_front
from unitune.report.static import DRAWINGS, picture


@pytest.fixture(scope="module")
def gallery(make):
    return Gallery(make())


@pytest.mark.parametrize("name", sorted(DRAWINGS))
def test_every_figure_is_drawn_by_plotly_and_as_a_picture(gallery, name):
    figure = getattr(gallery, name)()
    assert figure.to_dict()["data"]
    assert picture(gallery, name, "png").startswith(b"\x89PNG")
    svg = picture(gallery, name, "svg")
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert svg == picture(gallery, name, "svg")


@pytest.mark.parametrize("name", sorted(DRAWINGS))
def test_a_run_without_anything_gets_figures_that_say_so(make, name):
    facts = make()
    nothing = Gallery(
        make(
            table=facts.table.assign(mean=np.nan).drop(columns="units"),
            best=None,
            recommended=None,
            credible=(),
            estimates={},
            interplay=None,
            marginals={},
            trial_health=None,
            layers=(),
        )
    )
    assert getattr(nothing, name)().layout.annotations[0].text
    assert picture(nothing, name, "png").startswith(b"\x89PNG")


def test_markup_in_names_is_escaped_in_figures(gallery):
    for name in DRAWINGS:
        text = getattr(gallery, name)().to_json()
        assert "<script>alert" not in text.replace("\\u003c", "<").replace("&lt;", "")


def test_what_may_be_the_best_is_outlined_once(make):
    facts = make()
    grid = units_by_activation(facts.table, "maximize", facts.credible)
    assert grid.trial[0].tolist() == [1, 3, 5]
    assert grid.credible.tolist() == [[True, True, True], [False, False, False]]
    assert len(outline(grid.credible)) == 8  # three cells in a row
    assert outline(np.zeros((2, 2), bool)) == ()
    (border,) = [shape for shape in Gallery(facts).heatmap().layout.shapes if shape.name == "credible"]
    assert border.path.count("M") == 8
    everything = Gallery(make(credible=tuple(range(1, 6)))).heatmap()
    assert not everything.layout.shapes


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_darker_is_better(make, direction):
    facts = make(direction=direction)
    scale = [color for _, color in Gallery(facts).heatmap().data[0].colorscale]
    assert ink_on(scale[-1] if direction == "maximize" else scale[0]) == "#ffffff"
    assert ink_on(scale[0] if direction == "maximize" else scale[-1]) == "#000000"


@pytest.mark.parametrize("level", np.linspace(0, 1, 21))
def test_text_on_every_colour_of_the_map_can_be_read(level):
    def luminance(color):
        channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    cell = at(SCALE, level)
    pair = sorted([luminance(cell), luminance(ink_on(cell))])
    assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5


def test_the_recommended_trial_is_among_the_top_ones(make):
    facts = make()
    rows = intervals(facts.table, facts.labels, credible=facts.credible, recommended=4, top=2)
    assert [row.trial for row in rows] == [3, 4]
    assert [row.recommended for row in rows] == [False, True]


def test_the_front_is_what_no_point_beats():
    rng = np.random.default_rng(0)
    cost, score = rng.integers(1, 6, 60), rng.integers(0, 6, 60) / 5
    for direction, sign in (("maximize", 1), ("minimize", -1)):
        found = pareto_front(cost, score, direction)
        for i in range(60):
            beaten = (
                (cost <= cost[i])
                & (sign * score >= sign * score[i])
                & ((cost < cost[i]) | (sign * score > sign * score[i]))
            )
            assert found[i] == (not beaten.any())


def test_health_is_a_mean_with_the_extremes(make):
    panels = health(make().probes(1))
    assert [panel.probe for panel in panels] == ["dead_units", "saturated", "gradient_norm", "update_ratio"]
    first = panels[0].layers[0]
    np.testing.assert_allclose(first.mean[0], 0.11)
    np.testing.assert_allclose((first.low[0], first.high[0]), (0.10, 0.12))
    assert health(pd.DataFrame(columns=["layer", "probe", "epoch", "value"])) == ()


def test_noise_comes_last_and_interplay_is_told_apart():
    table = pd.DataFrame(
        {"term": ["folds", "units", "units x activation", "seeds/residual"], "share": [0.4, 0.3, 0.2, 0.1]}
    )
    found = shares(table.assign(low=np.nan, high=np.nan))
    assert [(one.term, one.kind) for one in found] == [
        ("units", "single"),
        ("units x activation", "joint"),
        ("folds", "noise"),
        ("seeds/residual", "noise"),
    ]


def test_the_architecture_has_the_parameters_that_keras_counts():
    from unitune.models.build import n_parameters

    chain = Blueprint(
        layers=(
            LayerSpec(class_name="Dense", config={"units": 8, "activation": "linear"}),
            LayerSpec(class_name="BatchNormalization"),
            LayerSpec(class_name="Activation", config={"activation": "relu"}),
            LayerSpec(class_name="Dropout", config={"rate": 0.5}),
            LayerSpec(class_name="Dense", config={"units": 3, "activation": "softmax"}),
        )
    )
    drawn = diagram(layers_of(chain, (13,)))
    assert drawn.n_parameters == n_parameters(chain, (13,))
    assert [block.layer.after for block in drawn.blocks] == [(13,), (8,), (8,), (8,), (8,), (3,)]
    assert n_features_of(chain, drawn.n_parameters) == 13
    assert n_features_of(chain, drawn.n_parameters + 1) is None
    root = ElementTree.fromstring(architecture_svg(drawn))
    assert root.get("role") == "img"
    bottom = max(y for block in drawn.blocks for _, y in block.corners)
    assert bottom <= drawn.height


def test_marginals_put_what_matters_most_first(make):
    panels = Gallery(make()).marginal_panels()
    assert [panel.name for panel in panels] == ["units", "activation"]
    assert [panel.ordered for panel in panels] == [True, False]
    assert panels[0].values == ("8", "32", "128")
    (one,) = Gallery(make()).marginal_panels("activation")
    assert one.name == "activation"
    figure = Gallery(make()).marginals("units")
    np.testing.assert_allclose(figure.data[0].y, panels[0].best)
    np.testing.assert_allclose(figure.data[0].error_y.array, panels[0].best_high - panels[0].best)


def test_the_best_is_drawn_alone_where_each_value_has_one_trial(make):
    table = make().marginals["units"].assign(n_trials=1)
    assert len(Gallery(make(marginals={"units": table})).marginals().data) == 1


def test_the_health_of_all_trials_stands_by_activation(make):
    dead, saturated, flow = Gallery(make()).overview_panels()
    assert dead.by == "activation"
    assert dead.groups[0] == "relu"
    assert len(dead.groups) == 2
    np.testing.assert_array_equal(np.round(dead.place), [0, 1, 0, 1, 0])
    assert dead.summary()[0] == ("relu", 0.0, 0.2, 0.5)
    assert len(saturated.value) == 4
    assert len(flow.value) == 4  # no logarithm of 0
    assert dead.recommended.tolist() == [True, False, False, False, False]
    limits = [shape.x0 for shape in Gallery(make()).health_overview().layout.shapes]
    assert limits == [0.4, 1e-3]


def test_very_many_widths_are_no_groups(make):
    facts = make()
    table = pd.DataFrame({"trial": range(1, 31), "units": range(1, 31)})
    health = pd.DataFrame({"trial": range(1, 31), "dead_units": 0.1})
    labels = {number: f"units {number}" for number in range(1, 31)}
    given = make(table=table, labels=labels, settings=("units",), trial_health=health, trials=facts.trials)
    (panel,) = Gallery(given).overview_panels()
    assert panel.groups == ("",)
