"""Compiled programs on disk: what one process has compiled, the next one on this machine loads.

The frameworks keep the programs themselves, TensorFlow by `TF_XLA_FLAGS`, JAX by `jax_compilation_cache_dir`; here is
where they lie, who may read them, and when they go. An entry is machine code, which neither framework checks before it
runs it, so each has a checksum beside it, and what has none or another one is deleted before it could be loaded.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib
import importlib.metadata
import os
import platform
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import platformdirs

LIMIT_BYTES = 2**30
_OFF = ("0", "off", "no", "false")
_SEAL = ".sha256"
_MARK = ".program"
# Programs that compile faster than this are not worth a file: each operation outside a program is one for JAX.
_MIN_COMPILE_S = 0.1

_lock = threading.Lock()
_started = False
_folder: Path | None = None
_sealed: set[str] = set()


def cache_folder() -> Path | None:
    """Where compiled programs lie: the user's cache folder, or the one that `UNITUNE_CACHE` names.

    Returns:
        The folder, which need not exist; None where `UNITUNE_CACHE` is `off`, `no`, `false` or `0`.
    """
    wanted = os.environ.get("UNITUNE_CACHE", "").strip()
    if wanted.lower() in _OFF:
        return None
    return Path(wanted).expanduser().absolute() if wanted else Path(platformdirs.user_cache_dir("unitune", False))


def start(backend: str) -> Path | None:
    """Lets a backend keep what it compiles from now on; done once in a process.

    Damaged entries are deleted, and beyond a gibibyte the oldest. A folder of somebody else's is not used, nor one that
    cannot be made. A cache that the user has set for the backend stays the user's.

    Args:
        backend: `"tensorflow"` or `"jax"`; others keep nothing.

    Returns:
        The folder with the entries of this backend, version and processor; None where nothing is kept.
    """
    global _started, _folder
    if not _started:  # it is asked for on each use of Keras
        with _lock:
            if not _started:
                _folder = _begin(backend)
                _started = True
    return _folder


def _begin(backend: str) -> Path | None:
    top = cache_folder()
    if top is None or backend not in _USE:
        return None
    with contextlib.suppress(OSError):
        place = top / "programs" / _kind(backend)
        for part in (top, place.parent, place):
            _make_private(part)
        _drop_damaged(place)
        trim(place.parent)
        if _USE[backend](place):
            atexit.register(trim, place.parent)
            atexit.register(seal)
            return place
    return None


def holds(digest: bytes) -> bool:
    """Whether a program was compiled here before, so that it is probably loaded now."""
    return _folder is not None and (_folder / f"{digest.hex()}{_MARK}").exists()


def seal(digest: bytes | None = None) -> None:
    """Writes the checksums of the entries that have come since; after each compilation, `digest` is the program's."""
    if _folder is None:
        return
    with _lock, contextlib.suppress(OSError):
        if digest is not None:
            (_folder / f"{digest.hex()}{_MARK}").touch()
        for entry in _entries(_folder):
            if entry.name not in _sealed:
                seal_of = entry.with_name(entry.name + _SEAL)
                if not seal_of.exists():
                    draft = seal_of.with_name(f"{seal_of.name}.{os.getpid()}.tmp")
                    draft.write_text(_checksum(entry), encoding="ascii")
                    draft.replace(seal_of)
                _sealed.add(entry.name)


def trim(folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
    """Deletes the oldest files below a folder until the rest is within the limit."""
    with contextlib.suppress(OSError):
        files = [(path, path.stat()) for path in folder.rglob("*") if path.is_file()]
        excess = sum(facts.st_size for _, facts in files) - limit_bytes
        for path, facts in sorted(files, key=lambda file: file[1].st_mtime):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= facts.st_size


def _kind(backend: str) -> str:
    """Names what machine code depends on: the versions, and what the processor can do."""
    versions = [sys.platform, platform.machine(), platform.processor()]
    for name in (backend, "tensorflow-cpu", "jaxlib", "keras"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        versions += sorted({line.strip() for line in lines if line.startswith(("flags", "Features", "model name"))})
    return f"{backend}-{hashlib.sha256(repr(versions).encode()).hexdigest()[:16]}"


def _make_private(folder: Path) -> None:
    """Makes a folder that its owner alone may enter.

    Raises:
        PermissionError: It is there, and somebody else's.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.stat()
    if hasattr(os, "getuid") and facts.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    if stat.S_IMODE(facts.st_mode) != 0o700:
        folder.chmod(0o700)


def _entries(folder: Path) -> list[Path]:
    """The programs in a folder, without checksums, drafts and what JAX notes of their use."""
    return [path for path in folder.iterdir() if path.name.endswith(("-cache", ".pb")) and path.is_file()]


def _drop_damaged(folder: Path) -> None:
    for entry in _entries(folder):
        seal_of = entry.with_name(entry.name + _SEAL)
        try:
            intact = seal_of.read_text(encoding="ascii") == _checksum(entry)
        except (OSError, UnicodeDecodeError):
            intact = False
        if intact:
            _sealed.add(entry.name)
        else:
            entry.unlink(missing_ok=True)
            seal_of.unlink(missing_ok=True)


def _checksum(entry: Path) -> str:
    with entry.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _use_tensorflow(folder: Path) -> bool:
    """TensorFlow reads its flags once, when the first operation runs; where that is past, nothing is kept."""
    flags = os.environ.get("TF_XLA_FLAGS", "").strip()
    quoted = f'"{folder}"' if any(map(str.isspace, str(folder))) else str(folder)
    ours = f"--tf_xla_persistent_cache_directory={quoted} --tf_xla_persistent_cache_device_types=CPU"
    if ours in flags:  # inherited from a process that began here
        return True
    if "persistent_cache_directory" in flags or (flags and not flags.startswith("-")):
        return False
    os.environ["TF_XLA_FLAGS"] = f"{flags} {ours}".strip()
    return True


def _use_jax(folder: Path) -> bool:
    jax: Any = importlib.import_module("jax")
    if jax.config.jax_compilation_cache_dir is not None:
        return False
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _MIN_COMPILE_S)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # A process that has compiled before has noted that there is no cache.
    importlib.import_module("jax.experimental.compilation_cache.compilation_cache").reset_cache()
    return True


_USE = {"tensorflow": _use_tensorflow, "jax": _use_jax}
