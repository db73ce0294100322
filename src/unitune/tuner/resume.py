"""`resume`: a run that was cut off goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unitune.adoption.hypermodel import HyperModel
from unitune.errors import OptionError, RunFolderError
from unitune.options import TuneOptions
from unitune.report.progress import Listener
from unitune.result import Result, load
from unitune.store.folder import ADDRESS, STORE
from unitune.tuner.dense import tune


def resume(
    run: str | Path,
    x: Any = None,
    y: Any = None,
    *rows: Any,
    progress: bool = True,
    callbacks: Iterable[Listener] = (),
    store: str | None = None,
    **arguments: Any,
) -> Result:
    """Goes on with a run of `unitune.tune` that was interrupted, or whose process died, or whose budget was used up.

    What was recorded is not trained again, and the result is that of a run which was never interrupted: to the last bit
    with strategies that do not learn. A run that is finished is loaded.

    Args:
        run: The run folder.
        x: The rows of the run, as they were given to `tune`; not needed where they came from a file.
        y: The target, if it was given apart.
        rows: After a function: `resume(run, build_model, x, y)` goes on with `tune(build_model, x, y)`.
        progress: Whether to tell how it goes, on standard error.
        callbacks: Listeners that are told how it goes.
        store: The URL of the run's database with its password, if it needs one: the run folder does not hold it.
        arguments: Arguments of `tune` that a file cannot hold (a splitter, weights, functions), as they were given; and
            a new budget (`trials`, `time_limit_s`), if there is to be one.

    Returns:
        The `Result` of the whole run.

    Raises:
        RunFolderError: There is no run, another process works on it, or rows, space or objective are not those it began
            with.
        OptionError: An argument is missing that was not recorded.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import unitune
        >>> x = np.random.default_rng(0).normal(size=(60, 4))
        >>> y = (x[:, 0] > 0).astype(int)
        >>> options = {"units": [2, 4], "activations": "relu", "epochs": 1, "folds": 2, "progress": False}
        >>> with tempfile.TemporaryDirectory() as runs:
        ...     first = unitune.tune(x, y, **options, out=runs, name="mine")
        ...     again = resume(f"{runs}/mine", x, y, progress=False)  # finished: nothing is trained
        >>> len(again.trials)
        2
    """
    folder = Path(run)
    url = store or _address(folder).get("url")
    kept = stored_run(folder, url)
    if kept["state"] == "finished" and not arguments:
        return load(folder)
    call = dict(kept["call"])
    if not call:
        raise OptionError(
            "`resume` goes on with runs of `unitune.tune`",
            f"`{folder}` is of another function",
            "Call that function again with `resume=True`.",
        )
    function, given = _given(x, y, rows)
    wanted = call.pop("build_model", None)
    if wanted and function is None:
        raise OptionError(
            "A run of a function that builds models needs it again",
            f"`{folder}` was made with `{wanted}`",
            f"Give it before the rows: `unitune.resume({str(folder)!r}, {wanted}, x, y)`.",
        )
    if function is not None and not wanted:
        raise OptionError(
            "A run goes on with what it began with", f"`{folder}` was made without a function", "Leave it out."
        )
    unknown = arguments.keys() - set(TuneOptions.names())
    if unknown:
        raise OptionError("`resume` takes arguments of `unitune.tune`", f"got `{sorted(unknown)[0]}`")
    missing = [name for name in call.pop("not_recorded", []) if name not in ("x", "y") and name not in arguments]
    if missing:
        raise OptionError(
            "A file cannot hold every argument of a search",
            f"{', '.join(f'`{name}`' for name in missing)} of `{folder}` is not recorded",
            f"Give it again: `unitune.resume({str(folder)!r}, {missing[0]}=...)`.",
        )
    if given:
        call |= dict(zip(("x", "y"), (*given, None), strict=False))
    if call.get("x") is None:
        raise OptionError(
            "The rows of the run are needed",
            "they did not come from a file",
            f"Give them: `unitune.resume({str(folder)!r}, {f'{wanted}, ' if wanted else ''}x, y)`.",
        )
    call |= arguments
    positional = [one for one in (function, call.pop("x"), call.pop("y", None)) if one is not None]
    return tune(
        *positional,
        **call,
        out=folder.parent,
        name=folder.name,
        resume=True,
        store=url,
        progress=progress,
        callbacks=callbacks,
    )


def _given(x: Any, y: Any, rows: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """The function, if there is one, and what was given of the rows and the target."""
    values = tuple(one for one in (x, y, *rows) if one is not None)
    is_function = bool(values) and (isinstance(values[0], HyperModel) or callable(values[0]))
    return (values[0], values[1:]) if is_function else (None, values)


def stored_run(folder: Path, url: str | None = None) -> dict[str, Any]:
    """The state of a run in a store, its call, and the command that began it.

    Raises:
        RunFolderError: There is none.
    """
    from unitune.store.database import open_folder, open_url

    url = url or _address(folder).get("url")
    if url is None and not (folder / STORE).is_file():
        received = f"`{folder}` has no {STORE}" if folder.is_dir() else f"there is no `{folder}`"
        raise RunFolderError("Only a run folder with a store can go on", received, "Check the path.")
    database = open_url(url) if url else open_folder(folder)
    try:
        found = database.find(folder.name if database.shared else None)
        if found is None:
            raise RunFolderError("A store must hold the run that is to go on", f"`{database.where}` has no such run")
        record = found.record
        return {"state": found.state, "call": record.get("call", {}), "command": record.get("command", "")}
    finally:
        database.close()


def _address(folder: Path) -> Mapping[str, Any]:
    try:
        return dict(json.loads((folder / ADDRESS).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
