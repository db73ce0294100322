"""Everything public in the installed Keras, through every face, against plain `fit` of the user's own model.

What is fused or vmapped must equal `fit`, what is not must say why and equal it as well. A name that Keras has and the
tables of `catalogue/` have not is a failure: a new version of Keras is looked at before it is trusted.

Each goes through one face, the next one of its kind through the next, on TensorFlow, and a share of them on JAX.
`make test` trains of these what `is_live` says; with `UNITUNE_PARITY=full` everything goes through every face on both.
"""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catalogue.all import TABLES, all_cases, is_live, parts
from catalogue.cases import FACES
from catalogue.listing import public
from catalogue.metrics import own_metrics

from unitune.engine.lift.base import Unfusable
from unitune.engine.metrics import metric_key
from unitune.engine.own_scores import OWN
from unitune.models.compiled_metrics import read_metric

TOLERANCE = 1e-5
WORKER = Path(__file__).parent / "catalogue" / "worker.py"
FULL = os.environ.get("UNITUNE_PARITY") == "full"
BACKENDS = ("tensorflow", "jax")
ALL = [
    pytest.param(
        *(backend, case.id),
        id=f"{backend}-{case.id}",
        marks=[] if live[case.id] else [pytest.mark.exhaustive],
    )
    for backend in BACKENDS
    for cases in [all_cases(backend, full=FULL)]
    for live in [is_live(backend, cases)]
    for case in cases
]
Found = dict[str, Any]


@pytest.fixture(scope="module")
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, str], Found]]:
    """`trained(backend, id)`: what came out for a case. Two processes at a time train the parts of the catalogue."""
    folder = tmp_path_factory.mktemp("catalogue")
    wanted: dict[tuple[str, str], list[str]] = {}
    for item in request.session.items:
        if "trained" in getattr(item, "fixturenames", ()) and item.path == request.path:
            backend, case = (item.callspec.params[name] for name in ("backend", "case"))
            part = next(part for part, beginnings in parts().items() if case.startswith(beginnings))
            wanted.setdefault((backend, part), []).append(case)

    def work(backend: str, part: str) -> dict[str, Found]:
        file = folder / f"{backend}-{part}"
        ids = file.with_suffix(".txt")
        ids.write_text("\n".join(wanted[backend, part]))
        command = [sys.executable, str(WORKER), backend, f"@{ids}", str(file)]
        places = {**os.environ, "TMPDIR": str(folder)}
        run = subprocess.run(command, capture_output=True, text=True, check=False, env=places)
        assert run.returncode == 0, f"the worker for {part} on {backend} failed:\n{run.stderr[-4000:]}"
        return pickle.loads(file.read_bytes())  # type: ignore[no-any-return]

    with ThreadPoolExecutor(max_workers=2) as pool:
        running = {
            (backend, part): pool.submit(work, backend, part)
            for part in parts()
            for backend in BACKENDS
            if (backend, part) in wanted
        }
        yield lambda backend, key: next(
            found.result()[key]
            for (of, part), found in running.items()
            if of == backend and key.startswith(parts()[part])
        )


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "case"), ALL)
def test_equals_fit(trained: Any, backend: str, case: str) -> None:
    found = trained(backend, case)
    faces = [face for face in FACES if face in found]
    assert faces
    for face in faces:
        _check(face, found, found[face])


def _check(face: str, found: Found, ours: Found) -> None:
    assert "raised" not in ours, ours["raised"]
    if found["error"]:
        assert ours["failure"], f"`fit` fails: {found['error']}"
        return
    assert not ours["failure"], ours["failure"]
    assert ours["engine"] == "fused" or (ours["reason"] and not found["must_fuse"]), ours["reason"]
    oracle = ours["oracle"]
    # `compare` and `tune` have names of their own for some metrics, and score others after the training.
    wanted = oracle if face == "keras_tuner" else ("loss", "val_loss")
    for name in wanted:
        assert name in ours["history"], f"{face}: {name} is not among {sorted(ours['history'])}"
    tolerance = max(TOLERANCE, ours["moved"])
    for name in oracle.keys() & ours["history"].keys():
        np.testing.assert_allclose(
            ours["history"][name], oracle[name], rtol=tolerance, atol=1e-7, err_msg=f"{face}: {name}"
        )


def test_a_users_own_metrics_are_not_taken_for_those_of_the_same_name() -> None:
    for make in own_metrics().values():
        spec = read_metric(make())[1]
        if inspect.isroutine(spec.given):  # which is traced as what it is
            assert metric_key(spec)[1] == OWN
            continue
        with pytest.raises(Unfusable, match="of your own"):
            metric_key(spec)


@pytest.mark.parametrize("kind", TABLES)
def test_nothing_public_is_missing_from_the_tables(kind: str) -> None:
    rows, without = TABLES[kind]
    for name in public(kind):
        assert (name in rows) != (name in without), (
            f"`keras.{kind}.{name}` needs a row: add it to the table in tests/engine/catalogue with arguments that are "
            "not the default, or, where it cannot be trained, to `WITHOUT` with the reason"
        )


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, (rows, _) in TABLES.items() for name in rows if name in public(kind)]
)
def test_arguments_are_not_the_defaults(kind: str, name: str) -> None:
    given = TABLES[kind][0][name]
    known = inspect.signature(public(kind)[name]).parameters
    for argument, value in (given() if callable(given) else given).items():
        assert argument not in known or repr(known[argument].default) != repr(value), (
            f"{argument}={value} is the default"
        )
