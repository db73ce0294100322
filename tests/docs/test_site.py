"""The site: built strictly and without a network, every link leads somewhere, and pages are fine in a browser."""

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

ROOT = Path(__file__).parents[2]
SHOWN = ("index.html", "reference/python/unitune.html", "gallery.html", "examples.html", "explanation/statistics.html")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]  # Selenium's sockets


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    place = tmp_path_factory.mktemp("site")
    # A proxy that is not there: whatever asks for another host fails.
    env = os.environ | {
        "NO_MKDOCS_2_WARNING": "1",
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(place)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return place


class Page(HTMLParser):
    """What a page links to, what it loads, and which anchors it has."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], {""}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found.get("id"), found.get("name") if tag == "a" else None}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in ("script", "img", "iframe") and found.get("src"):
            self.loads.append(found["src"])
        if tag == "link" and found.get("rel") != "canonical" and found.get("href"):
            self.loads.append(found["href"])


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_page_of_the_docs_is_on_the_site(pages, site):
    there = {path.relative_to(site).with_suffix(".md").as_posix() for path in pages}
    docs = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert docs - {"README.md"} <= there
    assert {"index.md", "changelog.md", "contributing.md", "security.md", "bench.md", "examples.md"} <= there


def test_every_link_leads_to_a_page_and_a_place_on_it(pages):
    broken = []
    for path, page in pages.items():
        for link in (*page.links, *page.loads):
            if re.match(r"(https?|mailto|data|javascript):", link):
                continue
            target, anchor = urldefrag(unquote(link))
            aim = (path.parent / target).resolve() if target else path
            if aim.is_dir():
                aim /= "index.html"
            if not aim.exists() or (aim in pages and anchor not in pages[aim].anchors and anchor != "__codelineno"):
                broken.append(f"{path.name}: {link}")
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(pages, site):
    assert [load for page in pages.values() for load in page.loads if re.match(r"(https?:)?//", load)] == []
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert styles
    assert not [style for style in styles if re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", style)]


@pytest.fixture(scope="module")
def address(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("width", [375, 1440])
def test_pages_are_fine_in_a_browser(chromium, address, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    chromium.get_log("browser")
    for name in SHOWN:
        chromium.get(f"{address}/{name}")
        title, wide = chromium.execute_script(
            "return [document.querySelector('h1').innerText, document.documentElement.scrollWidth]"
        )
        assert title
        assert wide <= width, f"{name} is {wide} pixels wide"
        broken = chromium.execute_script(
            "return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        )
        assert broken == []
    errors = [entry for entry in chromium.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert errors == []


def test_the_search_finds_an_argument(chromium, address):
    from selenium.webdriver.support.ui import WebDriverWait

    chromium.get(f"{address}/index.html?q=time_limit_s")
    found = WebDriverWait(chromium, 60).until(
        lambda driver: driver.execute_script(
            "return [...document.querySelectorAll('.md-search-result__link')].map(one => one.href)"
        )
    )
    assert any("reference/python" in link for link in found)
