"""The report and the figures of real runs: saved, loaded, of one split, of models of one's own."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

import unitune
from unitune.errors import OptionError, SaveError
from unitune.report.static import DRAWINGS

pytestmark = pytest.mark.slow

NASTY = "<script>alert(1)</script>"


def rows(n: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size = rng.normal(size=n)
    kind = np.where(size + 0.5 * rng.normal(size=n) > 0, NASTY, "small")
    return pd.DataFrame({NASTY: size, "colour": rng.choice(["red", "green"], n), "kind": kind})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return unitune.tune(
        rows(),
        target="kind",
        units=[2, 4],
        activations=["relu", "tanh"],
        epochs=3,
        folds=3,
        progress=False,
        out=out,
        name="run",
    )


@pytest.mark.parametrize("name", sorted(DRAWINGS))
def test_each_figure_of_a_run(saved, name, tmp_path):
    figure = getattr(saved.plot, name)()
    assert isinstance(figure, go.Figure)
    assert figure.data
    assert saved.plot.save(name, tmp_path / "one.svg").read_bytes().startswith(b"<?xml")
    assert saved.plot.save(name, tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_the_curves_of_one_trial(saved):
    one = saved.plot.learning_curves(saved.trials[0])
    assert {note.text.split("<")[0] for note in one.layout.annotations} == {""}  # all are bold
    assert len(one.layout.annotations) == 2


def test_a_picture_takes_the_options_of_its_figure(saved, tmp_path):
    pictures = [
        saved.plot.save(name, tmp_path / "one.svg", **options).read_bytes()
        for name, options in (
            ("learning_curves", {"trial": 1}),
            ("learning_curves", {"trial": saved.trials[1]}),
            ("health", {"trial": 2}),
            ("marginals", {"hyperparameter": "units"}),
            ("marginals", {}),
            ("intervals", {"top": 2}),
        )
    ]
    assert len(set(pictures)) == len(pictures)


def test_the_page_of_the_run_folder_is_that_of_the_run_loaded_again(saved, tmp_path):
    page = saved.report(tmp_path / "again.html").read_text(encoding="utf-8")
    assert (saved.folder / "report.html").read_text(encoding="utf-8") == page
    loaded = unitune.load(saved.folder).report(tmp_path / "loaded.html").read_text(encoding="utf-8")
    assert len(loaded) == pytest.approx(len(page), rel=0.01)
    assert "There is no report.html" not in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_architecture_counts_what_the_trial_counts(saved):
    from unitune.result.facts import facts_of

    facts = facts_of(saved)
    shown = facts.recommended if facts.recommended is not None else facts.best
    assert sum(layer.n_parameters for layer in facts.layers) == facts.trials[shown].n_parameters


def test_one_split_has_a_page(tmp_path):
    result = unitune.tune(
        rows(), target="kind", units=[2, 4], activations="relu", epochs=2, validation_split=0.3, progress=False
    )
    assert 'id="plot-heatmap"' in result.report(tmp_path / "one.html").read_text(encoding="utf-8")


def test_models_of_ones_own_have_a_page(tmp_path):
    import keras

    data = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
    models = {}
    for units in (2, 4):
        model = keras.Sequential([keras.layers.Dense(units, "relu"), keras.layers.Dense(1, "sigmoid")])
        model.compile("adam", "binary_crossentropy", ["accuracy"])
        models[f"{NASTY} {units}"] = model
    result = unitune.compare(models, data, (data[:, 0] > 0).astype(int), epochs=2, folds=2, progress=False)
    page = result.report(tmp_path / "compared.html").read_text(encoding="utf-8")
    assert "Neither units nor activations" in page
    assert "<script>alert" not in page


def test_what_cannot_be_written_is_an_error(saved, tmp_path):
    with pytest.raises(SaveError, match="cannot be written"):
        saved.report(tmp_path / "nowhere" / "report.html")
    with pytest.raises(SaveError, match="cannot be written"):
        saved.plot.save("heatmap", tmp_path / "nowhere" / "one.png")
    with pytest.raises(OptionError, match="heatmap"):
        saved.plot.save("heat_map", tmp_path / "one.png")
    with pytest.raises(OptionError, match="units"):
        saved.plot.marginals("unit")
    with pytest.raises(OptionError, match="trial"):
        saved.plot.save("health", tmp_path / "one.png", top=3)
    with pytest.raises(OptionError, match="svg"):
        saved.plot.save("heatmap", tmp_path / "one.jpg")


def test_a_run_outlives_a_report_that_cannot_be_drawn(saved, tmp_path, monkeypatch):
    import unitune.report.page as page

    def broken(facts):
        raise RuntimeError("no ink")

    monkeypatch.setattr(page, "page", broken)
    place = unitune.load(saved.folder).save(tmp_path / "copy")
    assert not (place / "report.html").exists()
    assert any("no ink" in note for note in unitune.load(place).notes)
