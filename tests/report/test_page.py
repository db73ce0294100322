"""The page as text: sections in order, every figure, escaped names, its size, and what it says of what is missing."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from unitune.report.page import page
from unitune.report.page.table import MAX_ROWS, trial_table

SECTIONS = [
    *("conclusion", "recommended", "heatmap", "intervals", "curves", "findings", "health", "interplay", "pareto"),
    *("architecture", "trials", "how"),
]
FIGURES = ["heatmap", "intervals", "curves", "health", "health_overview", "interplay", "marginals", "pareto"]
LIMIT = 8_000_000


class Outline(HTMLParser):
    """Tags with their attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def text(make):
    return page(make())


@pytest.fixture(scope="module")
def outline(text):
    return Outline(text)


def test_the_sections_are_in_order(outline):
    assert [section["id"] for section in outline.all("section")] == SECTIONS
    assert [link["href"] for link in outline.all("a")][1:] == [f"#{name}" for name in SECTIONS]


def test_every_figure_has_its_data_a_caption_and_words_for_those_who_cannot_see_it(outline, text):
    plots = [one for one in outline.all("div") if "data-figure" in one]
    assert [plot["data-figure"] for plot in plots] == FIGURES
    assert all(plot["role"] == "img" and len(plot["aria-label"]) > 40 for plot in plots)
    assert text.count("<figcaption>") == len(FIGURES) + 1  # and the architecture
    for name in FIGURES:
        data = re.search(rf'id="json-{name}">(.*?)</script>', text, re.DOTALL)[1]
        assert json.loads(data)["data"], name
    assert outline.all("svg")[0]["role"] == "img"


def test_headings_do_not_skip_a_level(outline):
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_have_headings_with_a_scope(outline):
    assert all(head.get("scope") in ("col", "row") for head in outline.all("th"))


def test_names_from_the_data_are_text_not_markup(outline, text):
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    kinds = [script.get("type") for script in outline.all("script")]
    assert kinds.count("application/json") == len(FIGURES)
    assert len(kinds) == len(FIGURES) + 2  # Plotly, and the page's own


def test_it_needs_nothing_from_elsewhere(outline, text):
    for tag, attributes in outline.tags:
        for name in ("src", "href"):
            address = attributes.get(name) or ""
            assert address[:1] in ("", "#") or address == "data:,", (tag, address)
    assert "@import" not in text
    assert "url(" not in re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]


def test_it_is_small(text):
    assert len(text.encode()) < LIMIT / 2


def test_the_table_has_a_row_for_each_trial(make):
    table = trial_table(make())
    assert [row.cells[1].text for row in table.rows] == ["3", "5", "1", "4", "2", "6"]
    assert [row.marks for row in table.rows][:3] == [("best", "credible"), ("credible",), ("recommended", "credible")]
    assert table.rows[-1].marks == ("failed",)
    titles = [title for title, _ in table.columns]
    assert titles[:3] == ["rank", "trial", "accuracy"]
    assert {"units", "activation", "failure"} <= set(titles)


def test_a_page_of_very_many_trials_stays_small(make):
    facts = make()
    n = 3 * MAX_ROWS
    rng = np.random.default_rng(0)
    table = pd.concat([facts.table.head(1)] * n, ignore_index=True)
    table["trial"], table["rank"] = np.arange(1, n + 1), np.arange(1, n + 1)
    table["mean"] = np.sort(rng.random(n))[::-1]
    table["units"], table["parameters"] = rng.integers(1, 300, n), rng.integers(1, 10_000, n)
    table["seconds"] = rng.random(n)
    text = page(
        make(
            table=table,
            trials=dict.fromkeys(range(1, n + 1), facts.trials[3]),
            labels={number: f"units {units}" for number, units in enumerate(table["units"], 1)},
        )
    )
    assert len(text.encode()) < LIMIT
    assert f"the best {MAX_ROWS:,} of {n:,} trials" in text


def test_what_an_older_run_lacks_is_said(make):
    text = page(
        make(
            credible=(),
            recommended=None,
            estimates={},
            findings=None,
            interplay=None,
            marginals={},
            trial_health=None,
            no_interplay="One fold is too few.",
            probes=lambda number: pd.DataFrame(columns=["layer", "probe", "epoch", "value"]),
            layers=(),
            next_space="",
        )
    )
    assert [section["id"] for section in Outline(text).all("section")] == SECTIONS
    for sentence in (
        "What to expect on new rows is not known",
        "This run was not diagnosed",
        "Nothing was measured inside the networks",
        "One fold is too few.",
        "The layers of this network are not recorded",
    ):
        assert sentence in text
    assert "only what may be the best" not in text


def test_a_run_of_failures_has_a_page(make):
    facts = make()
    failed = facts.table.assign(mean=np.nan, low=np.nan, high=np.nan, train=np.nan, gap=np.nan, rank=pd.NA)
    text = page(make(table=failed, best=None, recommended=None, credible=(), estimates={}, layers=()))
    assert "nothing to recommend" in text
    assert [section["id"] for section in Outline(text).all("section")] == SECTIONS


def test_the_recommended_trial_shows_what_to_expect_of_it_and_one_interval(make):
    text = page(make())
    card = text[text.index('id="recommended"') : text.index('id="heatmap"')]
    assert "accuracy to expect" in card
    assert "0.9400" in card
    assert card.count("0.9200 to 0.9600") == 2  # the headline, and its row in the table of metrics
    assert "accuracy as it was" in page(make(estimates={}))
