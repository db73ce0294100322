"""The page in headless Chromium: nothing on the console, every figure drawn, the table sorts and filters."""

from pathlib import Path

import pytest

from unitune.report.page import page

FIGURES = {"heatmap", "intervals", "curves", "health", "health_overview", "interplay", "marginals", "pareto"}
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # Selenium's sockets


@pytest.fixture(scope="module")
def file(make, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("page") / "report.html"
    place.write_text(page(make()), encoding="utf-8")
    return place


@pytest.fixture
def show(chromium, file):
    """Opens the page at a width, in a colour scheme."""

    def opened(width: int = 1440, scheme: str = "light"):
        chromium.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {
                "media": "screen",
                "features": [
                    {"name": "prefers-color-scheme", "value": scheme},
                    {"name": "prefers-reduced-motion", "value": "reduce"},  # Selenium clicks before scrolling ends
                ],
            },
        )
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        chromium.get(file.as_uri())
        waits(chromium, lambda: drawn(chromium) == FIGURES)
        return chromium

    return opened


def waits(driver, until) -> None:
    """Chromium lays out and draws in processes of its own, after the page is loaded."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 60).until(lambda _: until())


def drawn(driver) -> set[str]:
    """The figures in which Plotly has drawn something."""
    return set(
        driver.execute_script(
            "return [...document.querySelectorAll('.plot')].filter((plot) => plot.querySelector("
            "'.hm image, .scatterlayer path, .barlayer path, .heatmaplayer image')).map((plot) => plot.dataset.figure)"
        )
    )


def cells(driver, column: int) -> list[str]:
    return driver.execute_script(
        "return [...document.querySelectorAll('#trial-table tbody tr')].filter((row) => !row.hidden)"
        ".map((row) => row.cells[arguments[0]].textContent)",
        column,
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1440])
def test_every_figure_is_drawn_without_a_word_on_the_console(show, width, scheme):
    driver = show(width, scheme)
    assert driver.get_log("browser") == []
    assert driver.execute_script("return document.querySelector('svg.architecture').getBBox().height") > 100


@pytest.mark.parametrize("width", [320, 375, 768, 1100, 1440])
def test_the_page_does_not_scroll_sideways(show, width):
    driver = show(width)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


def test_no_figure_is_wider_than_its_place(show):
    driver = show(375)
    wide = driver.execute_script(
        "return [...document.querySelectorAll('.plot .main-svg')]"
        ".filter((svg) => svg.getBoundingClientRect().right > 375).length"
    )
    assert wide == 0


def test_names_from_the_data_run_nothing(show):
    driver = show()
    assert driver.title.startswith("run <script>alert(1)</script>")
    assert driver.execute_script("return document.scripts.length") == len(FIGURES) + 2
    labels = driver.execute_script(
        "return [...document.querySelectorAll('[data-figure=heatmap] .ytick text')].map((label) => label.textContent)"
    )
    assert "<script>alert(1)</script>" in labels


def test_a_click_on_a_heading_sorts(show):
    driver = show()
    heads = driver.find_elements("css selector", "#trial-table thead th")
    names = [head.text.split()[0] for head in heads]
    column = names.index("units")
    heads[column].find_element("tag name", "button").click()
    assert cells(driver, column) == ["8", "8", "32", "32", "128", "128"]
    assert heads[column].get_attribute("aria-sort") == "ascending"
    assert heads[0].get_attribute("aria-sort") is None
    heads[column].find_element("tag name", "button").click()
    assert cells(driver, column) == ["128", "128", "32", "32", "8", "8"]
    # The trial that failed has no score, and is last in either direction.
    score = names.index("accuracy")
    for expected in ("ascending", "descending"):
        heads[score].find_element("tag name", "button").click()
        assert heads[score].get_attribute("aria-sort") == expected
        assert cells(driver, score)[-1] == ""


def test_words_and_comparisons_filter(show):
    driver = show()
    field = driver.find_element("id", "filter")

    def shown(words: str) -> list[str]:
        field.clear()
        field.send_keys(words)
        return sorted(cells(driver, 1))

    assert shown("relu") == ["1", "3", "5"]
    assert shown("relu units>8") == ["3", "5"]
    assert shown("activation=relu units=32") == ["3"]
    assert shown("accuracy>=0.955") == ["3", "5"]
    assert shown("no such trial") == []
    assert driver.find_element("id", "shown").text == "0 of 6"
    assert len(shown(" ")) == 6
    driver.find_element("id", "only-credible").click()
    assert sorted(cells(driver, 1)) == ["1", "3", "5"]


def test_dark_is_dark_and_its_text_is_light(show):
    def lightness(driver, selector: str, part: str) -> float:
        color = driver.execute_script(
            "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", selector, part
        )
        return sum(map(float, color.removeprefix("rgb(").rstrip(")").split(",")[:3])) / 765

    for scheme, paper_is_light in (("light", True), ("dark", False)):
        driver = show(1440, scheme)
        paper = lightness(driver, "body", "backgroundColor")
        assert (paper > 0.5) == paper_is_light
        for selector in ("#plot-intervals .ytick text", "#plot-health .x2tick text", "#plot-health .legendtext"):
            assert abs(lightness(driver, selector, "fill") - paper) > 0.4, selector
        assert abs(lightness(driver, ".lead", "color") - paper) > 0.6


def test_it_prints_light_with_its_figures_on_the_sheet(show):
    driver = show(1440, "dark")
    driver.execute_script(
        "window.printed = {};"
        "addEventListener('beforeprint', () => { printed.widths = [...document.querySelectorAll('.plot .main-svg')]"
        ".map((svg) => svg.getBoundingClientRect().width); })"
    )
    sheet = driver.print_page()
    assert len(sheet) > 50_000
    waits(driver, lambda: driver.execute_script("return 'widths' in printed"))
    assert max(driver.execute_script("return printed.widths")) <= 680
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert driver.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert driver.execute_script("return getComputedStyle(document.querySelector('nav')).display") == "none"
    assert driver.get_log("browser") == []


def test_the_figures_follow_the_width(show):
    driver = show(1440)
    wide = driver.execute_script("return document.querySelector('#plot-pareto .main-svg').clientWidth")
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 375, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    assert wide > 375
    waits(
        driver,
        lambda: driver.execute_script("return document.querySelector('#plot-pareto .main-svg').clientWidth") <= 375,
    )
