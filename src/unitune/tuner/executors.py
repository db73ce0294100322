"""The engine of a search, and where its members are trained: here on threads, or by the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from unitune.engine.choose import choose_engine
from unitune.engine.contract import Engine
from unitune.errors import OptionError
from unitune.execution.ray import Ray


def check_executor(executor: Any) -> Ray | None:
    """What `executor=` means: None for threads of this process, or how Ray is used.

    Raises:
        OptionError: It is neither.
    """
    if executor is None or executor == "threads":
        return None
    if executor == "ray":
        return Ray()
    if isinstance(executor, Ray):
        return executor
    raise OptionError(
        '`executor` must be `"threads"`, `"ray"` or a `unitune.Ray(...)`',
        f"got {executor!r}",
        "Leave it out for threads.",
    )


@contextmanager
def engine_on(name: str | Engine, executor: Any) -> Iterator[Engine]:
    """The engine of that name on an executor, whose workers end with the block.

    Raises:
        OptionError: An unknown name, or a cluster that does not answer or does not fit.
    """
    engine = choose_engine(name)
    settings = check_executor(executor)
    if settings is None:
        yield engine
        return
    from unitune.engine.elsewhere import ElsewhereEngine, start_worker, versions_of_workers
    from unitune.execution.ray import RayPool
    from unitune.models.backend import backend_name, ensure

    keras = ensure()
    start = partial(start_worker, backend_name(), keras.config.floatx(), settings.num_gpus)
    pool = RayPool(settings, start=start, expected=versions_of_workers(backend_name()))
    try:
        yield ElsewhereEngine(engine, pool)  # type: ignore[arg-type]
    finally:
        pool.close()
