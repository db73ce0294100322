"""The run folder: checked before training, written file by file, read back without the training data.

Each file is written under another name and then renamed, so that no half-written file bears a name of the run. A run
folder appears, or replaces an older one, in one step.
"""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from unitune.errors import RunFolderError, SaveError
from unitune.records import Trial
from unitune.store.members import probe_table
from unitune.store.run import SCORE_PARTS, TRIAL_PARTS, Run, trials_of

MARK = "run.json"
STORE = "store.db"
ADDRESS = "store.json"
PROBES = "probes.parquet"
FORMAT = 1


def check_folder(folder: Path, *, overwrite: bool, resume: bool = False) -> None:
    """Refuses a run folder that could not be written later.

    Args:
        folder: The folder.
        overwrite: Whether a run that is in it may be replaced.
        resume: Whether a run that is in it goes on.

    Raises:
        RunFolderError: It exists and may not be overwritten, is no run folder, or its place cannot be written.
    """
    if folder.exists() or folder.is_symlink():
        if not folder.is_dir():
            raise RunFolderError(
                "The run folder must be a folder", f"`{folder}` is a file", "Use another `name` or `out`."
            )
        if any(folder.iterdir()):
            if resume:
                if not (folder / STORE).exists() and not (folder / ADDRESS).exists():
                    raise RunFolderError(
                        "Only a run folder with a store can go on",
                        f"`{folder}` has no {STORE}",
                        "It is of a version before there were stores; use another `name`.",
                    )
            elif not overwrite:
                raise RunFolderError(
                    "A run folder is never overwritten unasked",
                    f"`{folder}` exists",
                    "Use another `name`, `resume=True` (`--resume`) to go on, or `overwrite=True` (`--overwrite`).",
                )
            elif not any((folder / name).exists() for name in (MARK, STORE, ADDRESS)):
                raise RunFolderError(
                    "Only a run folder may be overwritten",
                    f"`{folder}` holds other files",
                    "Use another `name` or `out`.",
                )
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    try:
        with tempfile.TemporaryDirectory(prefix=".unitune-", dir=parent):
            pass
    except OSError as error:
        raise RunFolderError(
            "The run folder must be in a place that can be written",
            f"`{parent}` cannot be: {error.strerror or error}",
            "Use another `out`.",
        ) from None


def save_files(folder: Path, writers: Mapping[str, Callable[[Path], None]], *, overwrite: bool) -> None:
    """Writes the files of a run, the most valuable first.

    Args:
        folder: The run folder.
        writers: For each file name a function that writes it at the path it is given.
        overwrite: Whether an older run may be replaced.

    Raises:
        RunFolderError: As `check_folder`.
        SaveError: A file could not be written (a full disk, say). The files before it are in the folder.
    """
    check_folder(folder, overwrite=overwrite)
    _save(folder, writers, _put_in_place)


def save_beside(folder: Path, writers: Mapping[str, Callable[[Path], None]]) -> None:
    """As `save_files`, into a folder that is there and keeps what else it holds: the run's own store.

    While files are exchanged, the folder has no `run.json`, and is read from the store.

    Raises:
        SaveError: A file could not be written. The files before it are in the folder.
    """
    _save(folder, writers, _put_beside)


def _save(folder: Path, writers: Mapping[str, Callable[[Path], None]], put: Callable[[Path, Path], None]) -> None:
    written: list[str] = []
    current = "the folder"
    stage: Path | None = None
    failure: OSError | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        stage.chmod(0o755)
        for current, write in writers.items():
            # The suffix stays last: Keras and Matplotlib go by it.
            partial = stage / f".partial-{current}"
            try:
                write(partial)
                os.replace(partial, stage / current)
            except OSError:
                partial.unlink(missing_ok=True)
                raise
            written.append(current)
    except OSError as error:
        failure = error
    except BaseException:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        raise
    if stage is not None:
        if MARK in written:
            put(stage, folder)
        else:
            shutil.rmtree(stage, ignore_errors=True)
    if failure is not None:
        kept = f"`{folder}` keeps {', '.join(written)}." if MARK in written else "Nothing was saved."
        if (folder / STORE).is_file():
            kept += f" What was trained is kept in {STORE}."
        reason = failure.strerror or str(failure)
        remedy = " Free some space and save again." if failure.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise SaveError(f"Saving the run stopped at {current}: {reason}. {kept}{remedy}")


def _put_in_place(stage: Path, folder: Path) -> None:
    if not folder.exists():
        os.replace(stage, folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent)) / "run"
    os.replace(folder, old)
    os.replace(stage, folder)
    shutil.rmtree(old.parent, ignore_errors=True)


def _put_beside(stage: Path, folder: Path) -> None:
    (folder / MARK).unlink(missing_ok=True)
    for path in sorted(stage.iterdir(), key=lambda path: path.name == MARK):
        os.replace(path, folder / path.name)
    stage.rmdir()


def write_json(tree: Any) -> Callable[[Path], None]:
    """A writer of JSON; NaN and infinity, which JSON does not have, become null."""

    def write(path: Path) -> None:
        path.write_text(json.dumps(plain(tree), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    return write


def write_csv(frame: pd.DataFrame) -> Callable[[Path], None]:
    """A writer of a table as CSV, with every digit of its numbers."""
    return lambda path: frame.to_csv(path, index=False, quoting=csv.QUOTE_MINIMAL)


def write_parquet(frame: pd.DataFrame) -> Callable[[Path], None]:
    """A writer of a table as Parquet."""
    return lambda path: frame.to_parquet(path, index=False)


def write_bytes(content: bytes) -> Callable[[Path], None]:
    """A writer of bytes."""

    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def run_tree(run: Run, trials: Sequence[Trial]) -> dict[str, Any]:
    """What `load_run` needs beside the tables: the run, and the configurations with their types."""
    return {
        "format": FORMAT,
        "run": run.to_json(),
        "trials": [
            {name: getattr(trial, name) for name in TRIAL_PARTS}
            | {"configuration": {key: run.space.label(key, value) for key, value in trial.configuration.items()}}
            for trial in trials
        ],
        # `trials.csv` ranks the others by their scores; these are not ranked.
        "stopped": {
            trial.number: {
                name: {part: getattr(one, part) for part in SCORE_PARTS} for name, one in trial.scores.items()
            }
            for trial in trials
            if trial.state == "stopped"
        },
    }


def load_run(folder: Path) -> tuple[Run, tuple[Trial, ...], pd.DataFrame, pd.DataFrame]:
    """Reads a run folder.

    Returns:
        The run, its trials, its members and its histories (as `member_table` and `history_table`).

    Raises:
        RunFolderError: There is no run, or it cannot be read.
    """
    if not (folder / MARK).is_file():
        received = f"`{folder}` has no {MARK}" if folder.is_dir() else f"there is no `{folder}`"
        raise RunFolderError(
            "A run is loaded from a folder that Unitune saved", received, "Check the path; runs are kept in `runs/`."
        )
    try:
        tree = json.loads((folder / MARK).read_text(encoding="utf-8"))
        if tree["format"] > FORMAT:
            raise RunFolderError(
                f"This version of Unitune reads run folders of format {FORMAT}",
                f"`{folder}` has format {tree['format']}",
                "Update Unitune.",
            )
        run = Run.from_json(tree["run"])
        with (folder / "trials.csv").open(encoding="utf-8", newline="") as file:
            # Not pandas, whose default parser may change a number's last digit.
            scores = {int(row["trial"]): row for row in csv.DictReader(file)}
        members = pd.read_parquet(folder / "members.parquet")
        histories = pd.read_parquet(folder / "histories.parquet")
        trials = trials_of(tree["trials"], run.metrics, _scores(tree, run, scores), members)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, RunFolderError):
            raise
        raise RunFolderError(
            "A run folder must hold what Unitune saved there",
            f"`{folder}` cannot be read ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})",
            "It was changed, or saving was cut short; run the search again.",
        ) from error
    return run, trials, members, histories


def load_probes(folder: Path) -> pd.DataFrame:
    """The probes of a run folder, as `probe_table`; empty where nothing was measured, or before it was kept."""
    path = folder / PROBES
    if not path.is_file():
        return probe_table([])
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise RunFolderError(
            "A run folder must hold what Unitune saved there",
            f"`{path}` cannot be read ({type(error).__name__})",
            "It was changed, or saving was cut short; run the search again.",
        ) from error


def _scores(
    tree: Mapping[str, Any], run: Run, rows: Mapping[int, Mapping[str, str]]
) -> dict[int, dict[str, dict[str, float]]]:
    """The scores of complete trials, out of the rows of `trials.csv`, and those of trials that were stopped."""
    complete = [entry["number"] for entry in tree["trials"] if entry["state"] == "complete"]
    ranked = {
        number: {
            metric: {part: float(rows[number][f"{metric}_{part}"] or "nan") for part in SCORE_PARTS}
            for metric in run.metrics
        }
        for number in complete
    }
    stopped = {
        int(number): {
            metric: {part: math.nan if value is None else value for part, value in parts.items()}
            for metric, parts in scores.items()
        }
        for number, scores in tree.get("stopped", {}).items()
    }
    return ranked | stopped


def plain(tree: Any) -> Any:
    """The tree with only what JSON has; NaN and infinity become None."""
    if isinstance(tree, Mapping):
        return {str(key): plain(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [plain(value) for value in tree]
    if hasattr(tree, "tolist"):  # NumPy scalars and arrays
        return plain(tree.tolist())
    if isinstance(tree, float):
        return tree if abs(tree) < float("inf") else None
    return tree
