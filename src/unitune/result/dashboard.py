"""`dashboard`: a run in Optuna's dashboard, while it goes on and afterwards.

The dashboard gets a study in memory that is fed from the run's store: what is clicked there changes nothing of the run.
"""

from __future__ import annotations

import contextlib
import socketserver
import tempfile
import threading
import time
import wsgiref.simple_server
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitune.errors import OptionError, RunFolderError, UnituneError
from unitune.records import Direction
from unitune.report.progress import Listener, Plan
from unitune.result.export import exported_of
from unitune.result.saved import load
from unitune.result.search_result import Result
from unitune.store.folder import MARK
from unitune.store.unfinished import is_unfinished, open_run_folder

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from optuna import Study

HOST, PORT = "127.0.0.1", 8080
REFRESH_S = 2.0
# Looking at a large run takes a while: at most this share of the time is spent on it.
SHARE = 0.2
FIGURES = ("heatmap", "intervals", "learning_curves", "marginals", "interplay", "health_overview", "pareto")
ARTIFACTS = ("best.keras", "report.html", "curves.png", "units_x_activation.png", "summary.json", "trials.csv")


class Dashboard:
    """A run as a study in memory, and the server that shows it.

    Args:
        run: The run folder.
        host: Where the server listens; the default is this machine only.
        port: 0 takes any that is free.

    Raises:
        OptionError: optuna-dashboard is not installed, or the port is taken.
        RunFolderError: There is no run.
    """

    def __init__(self, run: str | Path, *, host: str = HOST, port: int = PORT) -> None:
        try:
            import optuna
            from optuna.artifacts import FileSystemArtifactStore
            from optuna_dashboard import wsgi
        except ModuleNotFoundError as error:
            raise OptionError(
                "The dashboard needs Optuna's", f"{error.name} is not installed", "pip install 'unitune[dashboard]'"
            ) from None
        self.folder = Path(run)
        self._seen: set[int] = set()
        self._state: Any = None
        self._ended = threading.Event()
        self._files = tempfile.TemporaryDirectory(prefix="unitune-dashboard-")
        self._artifacts = FileSystemArtifactStore(self._files.name)
        direction = self._direction()
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            self.study: Study = optuna.create_study(study_name=self.folder.absolute().name, direction=direction)
        finally:
            optuna.logging.set_verbosity(before)
        self.refresh()
        application = wsgi(self.study._storage, artifact_store=self._artifacts)
        try:
            self._server = wsgiref.simple_server.make_server(host, port, application, _Server, _Quiet)
        except OSError as error:
            self._files.cleanup()
            raise OptionError(
                "The dashboard needs a port that is free", f"{host}:{port} is not: {error.strerror}", "Use `--port`."
            ) from None

    @property
    def url(self) -> str:
        """Where to look."""
        host, port = self._server.server_address[:2]
        shown = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"http://{shown}:{port}/dashboard/studies/{self.study._study_id}"

    def serve(self) -> None:
        """Serves until `close`, looking at the run again every few seconds."""
        looker = threading.Thread(target=self._look, name="unitune-dashboard", daemon=True)
        looker.start()
        try:
            self._server.serve_forever(poll_interval=0.2)
        finally:
            self._ended.set()
            looker.join()
            self._server.server_close()
            self._files.cleanup()

    def close(self) -> None:
        """Ends `serve`, from another thread."""
        self._ended.set()
        self._server.shutdown()

    def _look(self) -> None:
        pause_s = REFRESH_S
        while not self._ended.wait(pause_s):
            started = time.perf_counter()
            # The store may be in the middle of being written elsewhere, or away: the next look will do.
            with contextlib.suppress(UnituneError, OSError):
                self.refresh()
            pause_s = max(REFRESH_S, (time.perf_counter() - started) / SHARE)

    def refresh(self) -> None:
        """Looks at the run, and adds to the study what is new."""
        from optuna_dashboard import save_note

        state = self._current()
        if state == self._state:
            return
        try:
            result = load(self.folder)
        except RunFolderError:
            if self._state is not None or not is_unfinished(self.folder):
                raise
            save_note(self.study, "No trial is complete yet.")
            return
        self._add(result)
        save_note(self.study, note_of(result))
        self._draw(result)
        if (self.folder / MARK).is_file() and not is_unfinished(self.folder):
            self._attach()
        self._state = state

    def _add(self, result: Result) -> None:
        from unitune.store.export_optuna import describe, frozen_trials

        if not self._seen:
            describe(self.study, exported_of(result))
        new = [trial.number for trial in result.trials if trial.number not in self._seen]
        self.study.add_trials(frozen_trials(exported_of(result), new))
        self._seen.update(new)

    def _draw(self, result: Result) -> None:
        from optuna_dashboard import save_plotly_graph_object

        for name, draw in _figures(result):
            # A figure that this run has not, or not yet (one value only, no probes), is left out.
            with contextlib.suppress(Exception):
                save_plotly_graph_object(self.study, draw(), graph_object_id=name)

    def _attach(self) -> None:
        from optuna.artifacts import get_all_artifact_meta, upload_artifact

        present = {meta.filename for meta in get_all_artifact_meta(self.study)}
        for name in ARTIFACTS:
            path = self.folder / name
            if name not in present and path.is_file():
                upload_artifact(artifact_store=self._artifacts, file_path=str(path), study_or_trial=self.study)

    def _direction(self) -> Direction:
        """The run's direction, which is known before any trial is complete."""
        if not is_unfinished(self.folder):
            return load(self.folder).run.direction
        with _store(self.folder) as store:
            return "maximize" if store.record["direction"] == "maximize" else "minimize"

    def _current(self) -> Any:
        """What changes whenever there is something new to see."""
        if not is_unfinished(self.folder):
            return (self.folder / MARK).stat().st_mtime_ns
        with _store(self.folder) as store:
            return store.state, store.n_finished()


class Watch(Listener):
    """Shows a search in the dashboard from its begin to its end.

    Args:
        run: Its run folder.
        say: Is told where to look.
    """

    def __init__(self, run: str | Path, *, say: Callable[[str], None]) -> None:
        self._run = run
        self._say = say
        self._dashboard: Dashboard | None = None
        self._thread: threading.Thread | None = None

    def on_start(self, plan: Plan) -> None:
        """Starts the dashboard on a free port."""
        self._dashboard = Dashboard(self._run, port=0)
        self._thread = threading.Thread(target=self._dashboard.serve, name="unitune-watch", daemon=True)
        self._thread.start()
        self._say(self._dashboard.url)

    def on_end(self) -> None:
        """Ends it."""
        if self._dashboard is not None and self._thread is not None:
            self._dashboard.close()
            self._thread.join()
            self._dashboard = None


class _Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the terminal may show a progress bar."""


@contextlib.contextmanager
def _store(folder: Path) -> Iterator[Any]:
    database = open_run_folder(folder)
    try:
        found = database.find(folder.absolute().name if database.shared else None)
        if found is None:
            raise RunFolderError("A store must hold the run that is looked at", f"`{folder}` holds none")
        yield found
    finally:
        database.close()


def _figures(result: Result) -> list[tuple[str, Callable[[], go.Figure]]]:
    plots = result.plot
    return [(name, getattr(plots, name)) for name in FIGURES]


def note_of(result: Result) -> str:
    """The conclusion, the findings and the notes of a run, in Markdown."""
    lines = []
    with contextlib.suppress(UnituneError):
        lines += ["## Conclusion", "", " ".join(result.conclusion), ""]
    if result.run.left_out:
        lines += [f"**{result.run.left_out}**", ""]
    with contextlib.suppress(UnituneError):
        findings = [f"- {one.title}. {one.advice}".replace(".. ", ". ") for one in result.findings]
        lines += ["## Findings", "", *findings, ""] if findings else []
    notes = [note for note in result.notes if note != result.run.left_out]
    if notes:
        lines += ["## Notes", "", *(f"- {note}" for note in notes), ""]
    return "\n".join(lines)
