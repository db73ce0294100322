"""What every test shares: a quiet TensorFlow, pictures without a screen, a PostgreSQL server for those that ask."""

import contextlib
import gc
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Before the first import of either: TensorFlow reads its log level once, and Matplotlib its backend.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
# Test processes side by side take a core each: threads of BLAS and OpenMP would spin while they wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Most of a test is compiling, a third of that XLA's optimizing, which changes no result. The parity suite in float64 on
# TensorFlow has it, and all of `make test-all`. XLA reads this once, before its first compilation.
OPTIMIZED = os.environ.get("UNITUNE_FIT") == "whole"
if not OPTIMIZED:
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# The test processes share the programs that they compile, and leave the user's alone.
CACHE = Path(__file__).parents[1] / ".unitune_cache" / ("optimized" if OPTIMIZED else "as-written")
os.environ.setdefault("UNITUNE_CACHE", str(CACHE))

PRICE = importlib.import_module("unitune.engine.plan").price
# Beyond so many steps a `fit` that is compiled is done sooner.
MOST_STEPS = 60
SPEC = importlib.util.spec_from_file_location("cheap_fit", Path(__file__).parent / "engine" / "cheap_fit.py")
CHEAP_FIT = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(CHEAP_FIT)

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)


class Server:
    """A PostgreSQL server in a folder of its own, reached through a socket in it; `start` and `stop` take a second."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as the superuser.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            with contextlib.suppress(KeyError):
                pwd.getpwnam(self._user)
            shutil.chown(folder, self._user)
        made = self._call(
            "initdb", "-D", "data", "-U", "unitune", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"
        )
        assert made.wait(60) == 0
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://unitune@/postgres?host={self._folder}"

    def start(self) -> None:
        self._process = self._call("postgres", "-D", "data", "-k", str(self._folder), "-h", "", "-F")
        for _ in range(200):
            ready = self._call("pg_isready", "-q", "-h", str(self._folder), "-U", "unitune")
            if ready.wait(10) == 0:
                return
            time.sleep(0.05)
        raise TimeoutError("PostgreSQL did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # ends connections and then itself
            self._process.wait(30)
            self._process = None

    def _call(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        quiet = subprocess.DEVNULL
        command = [str(self._binaries / program), *arguments]
        return subprocess.Popen(command, cwd=self._folder, user=self._user, stdout=quiet, stderr=quiet)


LONGEST = (
    *("tests/engine/test_catalogue.py", "tests/test_examples.py", "tests/engine/test_parity.py"),
    *("tests/engine/lift/test_lift_parity.py", "tests/cli/test_runs.py", "tests/docs/test_commands.py"),
    *("tests/report/test_notebook.py", "tests/execution/test_ray_search.py", "tests/engine/test_own_fit.py"),
    *("tests/engine/test_stretch.py", "tests/engine/vmap/test_vmapped.py", "tests/models/test_program_cache.py"),
    *("tests/engine/test_places.py", "tests/keras_tuner/test_census.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest begin first, so that test processes side by side end together."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))


def pytest_runtest_setup() -> None:
    """Once a test has imported Keras, the short `fit` of later ones spare themselves compiling, as in the workers."""
    keras = sys.modules.get("keras")
    if CHEAP_FIT.PLAIN is None and hasattr(keras, "Model") and keras.backend.backend() == "tensorflow":
        CHEAP_FIT.cheaply("tensorflow", most_steps=MOST_STEPS)


def pytest_collection_finish() -> None:
    """What is imported by now, most of it TensorFlow, stays to the end: no collection looks through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def free_compiling() -> Iterator[pytest.MonkeyPatch]:
    """Programs are compiled as if that cost nothing: searches in tests are small, and mostly about programs.

    A test of what is worth compiling asks for `weighs`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unitune.engine.plan.price", lambda *_: 0.0)
        yield patch


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it: a lift for a layer of that name, and which command runs."""
    from unitune.cli import words
    from unitune.engine.lift import own

    monkeypatch.setattr(own, "_USERS", dict(own._USERS))
    monkeypatch.setattr(words, "_COMMANDS", {})


@pytest.fixture
def weighs(monkeypatch: pytest.MonkeyPatch) -> None:
    """`engine="auto"` weighs compiling against `fit`, as it does for a user."""
    from unitune.engine import plan

    monkeypatch.setattr(plan, "price", PRICE)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server; the test is skipped where PostgreSQL is not installed, except in CI."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    binaries = found[-1].parent if found else Path(on_path).parent if on_path else None
    if binaries is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="unitune-postgres-"))
    server = None
    try:
        server = Server(binaries, folder)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def in_batches() -> Callable[..., Any]:
    """`in_batches("tf.data" or "PyDataset", x, y)`: the rows, 16 at a time."""

    def cut(kind: str, x: Any, y: Any) -> Any:
        if kind == "tf.data":
            return pytest.importorskip("tensorflow").data.Dataset.from_tensor_slices((x, y)).batch(16)
        import keras

        class Batches(keras.utils.PyDataset):
            def __len__(self) -> int:
                return -(-len(x) // 16)

            def __getitem__(self, index: int) -> Any:
                chosen = slice(index * 16, index * 16 + 16)
                return x[chosen], y[chosen]

        return Batches()

    return cut


def find_browser() -> tuple[str, str] | None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A driver of headless Chromium; the test is skipped where there is none, except in CI."""
    found = find_browser()
    if found is None:
        reason = "Chromium and its driver are not here; on Debian: apt-get install chromium chromium-driver"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(found[1]))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()
