"""Where a search is kept while it runs: begun, gone on with, or joined."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unitune.errors import RunFolderError, SaveError
from unitune.space import Space
from unitune.store.best_weights import BestWeights
from unitune.store.claims import Driver
from unitune.store.database import Database, open_folder, open_url, shown_url
from unitune.store.folder import ADDRESS, STORE, plain
from unitune.store.lock import FolderLock
from unitune.store.run import Run
from unitune.store.run_store import RunStore
from unitune.tuner.store_recorder import StoreRecorder


class Session:
    """A search in a store, from its begin to its end in this process.

    Args:
        folder: The run folder; it is made, and holds the store unless there is a URL.
        url: Of a store in PostgreSQL, which several drivers may share; the run is named like the folder.
        resume: Whether a run that is there goes on; otherwise only `overwrite` makes room for a new one.
        overwrite: Whether an older run is replaced: once this one has recorded something.
        identity: What must not change when a run goes on.
        record: What is known of the run.
        space: Of its configurations.
        keep: Of how many of the best trials the members' weights are kept.
        alone: Whether only one driver at a time may work on the run.

    Raises:
        RunFolderError: There is a run and it may not be replaced; another process works on it; or what is to go on is
            something else.
    """

    def __init__(
        self,
        folder: Path,
        *,
        url: str | None,
        resume: bool,
        overwrite: bool,
        identity: Mapping[str, Any],
        record: Run,
        space: Space,
        keep: int = 0,
        alone: bool = False,
    ) -> None:
        self.folder = folder
        self._began = time.perf_counter()
        self._lock: FolderLock | None = None
        self._database: Database | None = None
        self._driver: Driver | None = None
        goes_on = resume and ((folder / STORE).is_file() or url is not None)
        self._made, self._older = _make_room(folder, keep=goes_on)
        try:
            self._lock = None if url else FolderLock(folder)
            self._database = open_url(url) if url else open_folder(folder)
            self.store = self._find(
                self._database, resume=resume, overwrite=overwrite, identity=identity, record=record
            )
            self.before_s = self.store.elapsed_s
            self._driver = Driver(self.store, alone=alone)
            if url:
                (folder / ADDRESS).write_text(json.dumps({"url": shown_url(url), "run": self.store.name}) + "\n")
            self.store.update(state="running")
            self.recorder = StoreRecorder(
                self.store,
                space,
                driver=self._driver if url else None,
                elapsed_s=self._elapsed_s,
                best=BestWeights(keep, record.objective, record.direction, self.store) if keep else None,
            )
        except BaseException:
            self._close()
            self._undo()
            raise

    def _find(
        self, database: Database, *, resume: bool, overwrite: bool, identity: Mapping[str, Any], record: Run
    ) -> RunStore:
        name, ours = self.folder.name, json.loads(json.dumps(plain(identity)))
        found = database.find(name if database.shared else None)
        if found is not None and not resume:
            if not overwrite:
                raise RunFolderError(
                    "A run in a store is never overwritten unasked",
                    f"`{database.where}` has a run `{name}`",
                    "Use another `name`, `resume=True` (`--resume`) to go on with it or to share it, or "
                    "`overwrite=True` (`--overwrite`).",
                )
            found.delete()
            found = None
        if found is None:
            made = database.create(name, identity=ours, record=plain(record.to_json()))
            if made is not None:
                return made
            found = database.find(name)
            assert found is not None
        check_same(found.identity, ours, where=self.folder)
        return found

    def agreed(self, name: str, value: Any) -> Any:
        """What the run's first session said of this; `value` if it is the first."""
        return self.store.agree_on(f"agreed_{name}", value)

    def secure(self) -> None:
        """Lets go of the older run that this one replaces."""
        if self._older is not None:
            shutil.rmtree(self._older.parent, ignore_errors=True)
            self._older = None

    def end(self, state: str, record: Run | None = None) -> None:
        """Says how it ended: `"finished"` or `"interrupted"`; unsaid, the run counts as running, that is, crashed."""
        values: dict[str, Any] = {} if record is None else {"record": plain(record.to_json())}
        self.store.update(state=state, elapsed_s=self._elapsed_s(), **values)

    def _elapsed_s(self) -> float:
        return self.before_s + time.perf_counter() - self._began

    def close(self, *, failed: bool = False) -> None:
        """Lets others in. After a failure, a run in which nothing was recorded leaves nothing behind."""
        nothing = failed and self._made and not self.store.shared and not self._has_members()
        self._close()
        if nothing:
            self._undo()
        else:
            self.secure()

    def _has_members(self) -> bool:
        return next(iter(self.store.blocks(predictions=False)), None) is not None

    def discard(self) -> None:
        """Removes a run that is worth nothing, and brings back the one that it would have replaced."""
        self._close()
        self._undo()

    def _close(self) -> None:
        if self._driver is not None:
            self._driver.end()
            self._driver = None
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _undo(self) -> None:
        if self._made:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._older is not None:
            os.replace(self._older, self.folder)
            os.rmdir(self._older.parent)
            self._older = None


def _make_room(folder: Path, *, keep: bool) -> tuple[bool, Path | None]:
    """Makes the folder. Whether it is new, and where the run was put aside that was there before."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        older = None
        if folder.exists() and not keep and any(folder.iterdir()):
            if (folder / STORE).exists():
                FolderLock(folder).release()  # not under the feet of a search that runs
            older = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent)) / "run"
            os.replace(folder, older)
        made = not folder.exists() or not any(folder.iterdir())
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise SaveError(f"`{folder}` cannot be made: {error.strerror or error}. Nothing was trained.") from error
    return made, older


def check_same(then: Mapping[str, Any], now: Mapping[str, Any], *, where: Path) -> None:
    """Refuses to go on with other data, another space or another objective.

    Raises:
        RunFolderError: It says what differs.
    """
    different = differences(then, now)
    if different:
        raise RunFolderError(
            f"The run in `{where}` goes on only with what it began with",
            "; ".join(different),
            "Give it the same, or start another run with another `name`.",
        )


_SAID_SETTINGS = {
    "weights": "the models begin with other weights (with `keras.utils.set_random_seed` before they are built they are "
    "the same)",
}
SAID = {
    "data": "the data differ: other rows, another order of them, or another target",
    "rows": "the rows are split into other folds",
}


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs, as clauses."""
    found = []
    for key in dict.fromkeys([*then, *now]):
        if key.startswith("agreed_"):
            continue
        before, after = then.get(key), now.get(key)
        if before == after:
            continue
        if key in SAID:
            found.append(SAID[key])
        elif key == "space":
            found += _space_differences(before or [], after or [])
        elif key == "settings":
            before, after = before or {}, after or {}
            changed = [name for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name)]
            found += [_SAID_SETTINGS[name] for name in changed if name in _SAID_SETTINGS]
            changed = [name for name in changed if name not in _SAID_SETTINGS]
            found += [f"`{name}` was {_shown(before.get(name))} and is {_shown(after.get(name))}" for name in changed]
        else:
            found.append(f"`{key}` was {_shown(before)} and is {_shown(after)}")
    return found


def _space_differences(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[str]:
    old, new = ({row["name"]: row for row in rows} for rows in (before, after))
    found = []
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) == new.get(name):
            continue
        if name not in new or name not in old:
            found.append(f"`{name}` is {'new' if name in new else 'gone'} in the space")
        else:
            found.append(f"`{name}` was {_domain(old[name])} and is {_domain(new[name])}")
    return found or ["the hyperparameters come in another order"]


def _domain(row: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {_shown(value)}" for key, value in row.items() if key != "name" and value not in (None, [])
    )


def _shown(value: Any) -> str:
    if value is None:
        return "not given"
    text = json.dumps(value) if not isinstance(value, str) else value
    return text if len(text) <= 120 else text[:117] + "..."


def identity_of(
    *,
    fingerprint: str,
    folds: Sequence[tuple[Any, Any]],
    space: Space,
    settings: Mapping[str, Any],
    **more: Any,
) -> dict[str, Any]:
    """What must not change while a run goes on.

    Args:
        fingerprint: Of the data.
        folds: Training and validation rows of each.
        space: What varies.
        settings: Further arguments that decide what is trained.
        more: Objective, seed, strategy, engine, ...
    """
    import hashlib

    digest = hashlib.blake2b(digest_size=16)
    for part in (rows for fold in folds for rows in fold):
        digest.update(np.ascontiguousarray(part, dtype=np.int64).tobytes() + b"|")
    return {
        "data": fingerprint,
        "rows": digest.hexdigest(),
        **more,
        "space": space.to_json(),
        "settings": dict(settings),
    }
