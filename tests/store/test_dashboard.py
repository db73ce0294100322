"""The dashboard of a run that goes on, by its interface and in headless Chromium."""

import json
import os
import shutil
import socket
import threading
import time
import urllib.request

import pytest
import store_fakes as fakes

import unitune.result.dashboard as dashboard_module
from unitune.errors import OptionError, RunFolderError
from unitune.result.dashboard import Dashboard, Watch

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets of Selenium and of the server's threads

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--window-size=1400,1000"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)


@pytest.fixture(scope="module")
def going_on(tmp_path_factory):
    """A run with ten trials, and what trains more of it; a dashboard that looks at it."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    session = fakes.a_session(folder)
    fakes.searched(session.recorder, trials=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dashboard_module, "REFRESH_S", 0.2)
        dashboard = Dashboard(folder, port=0)
        thread = threading.Thread(target=dashboard.serve)
        thread.start()
        yield session, dashboard
        dashboard.close()
        thread.join()
        session.close()


def asked(dashboard):
    address = dashboard.url.replace("/dashboard/", "/api/")
    with urllib.request.urlopen(address) as answer:
        return json.loads(answer.read())


def test_it_listens_on_this_machine_only(going_on):
    _, dashboard = going_on
    assert dashboard.url.startswith("http://127.0.0.1:")


def test_it_has_trials_note_and_figures(going_on):
    told = asked(going_on[1])
    assert told["name"] == "mine"
    assert told["directions"] == ["maximize"]
    assert len(told["trials"]) == 10
    assert told["trials"][0]["intermediate_values"]
    assert "10 of 10 trials that were begun are complete" in told["note"]["body"]
    assert {one["id"] for one in told["plotly_graph_objects"]} >= {"intervals", "learning_curves"}


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not (browser and driver):
        reason = "Chromium and its driver are not here; on Debian: apt-get install chromium chromium-driver"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    window.set_page_load_timeout(60)
    yield window
    window.quit()


def eventually(check, seconds=30):
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


@pytest.mark.slow
def test_a_browser_shows_it_and_what_is_new(going_on, chromium):
    session, dashboard = going_on

    def shown():
        return chromium.find_element("tag name", "body").text

    chromium.get(dashboard.url)
    assert eventually(lambda: "mine" in shown())
    assert eventually(lambda: chromium.find_elements("css selector", ".js-plotly-plot"))
    chromium.get(f"{dashboard.url}/note")
    assert eventually(lambda: "10 of 10 trials" in shown())
    fakes.searched(session_again(session).recorder, trials=14)
    assert eventually(lambda: len(asked(dashboard)["trials"]) == 14)
    chromium.get(f"{dashboard.url}/note")
    assert eventually(lambda: "14 of 14 trials" in shown())
    assert [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []


def session_again(session):
    """The run goes on, in the process that holds it."""
    from unitune.tuner.store_recorder import StoreRecorder

    session.recorder = StoreRecorder(session.store, fakes.a_space())
    return session


def test_a_run_without_a_complete_trial_can_be_looked_at(tmp_path):
    session = fakes.a_session(tmp_path / "new")
    dashboard = Dashboard(tmp_path / "new", port=0)
    assert dashboard.study.trials == []
    fakes.searched(session.recorder, trials=2)
    dashboard.refresh()
    assert len(dashboard.study.trials) == 2
    dashboard._server.server_close()
    session.close()


def test_a_search_can_be_watched(tmp_path):
    said = []
    session = fakes.a_session(tmp_path / "run")
    watch = Watch(tmp_path / "run", say=said.append)
    watch.on_start(None)
    with urllib.request.urlopen(said[0]) as answer:
        assert answer.status == 200
    watch.on_end()
    session.close()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(said[0])


def test_a_port_that_is_taken_is_refused(tmp_path):
    fakes.kept(tmp_path / "run", trials=1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OptionError, match="port that is free"):
            Dashboard(tmp_path / "run", port=taken.getsockname()[1])


def test_where_there_is_no_run_there_is_no_dashboard(tmp_path):
    with pytest.raises(RunFolderError):
        Dashboard(tmp_path, port=0)
