"""Trains every case in every face on one backend, and with plain `fit`, and writes what came out to a file.

A backend belongs to a process, so this is a script: `worker.py BACKEND PART FILE`, with a part of the catalogue,
beginnings of ids with commas, or `@` and a file with an id in each line.
"""

from __future__ import annotations

import gc
import os
import pickle
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))


TOGETHER = 8  # layers in one network


def main(backend: str, wanted: str, file: str, faces: str = "compare,tune,keras_tuner") -> None:
    os.environ["KERAS_BACKEND"] = backend
    warnings.filterwarnings("ignore")
    from cheap_fit import cheaply

    from catalogue.all import all_cases, parts
    from unitune.engine import plan

    plan.price = lambda *_: 0.0  # the catalogue is about programs, however few networks they train
    cheaply(backend, always=True)
    full = os.environ.get("UNITUNE_PARITY") == "full"
    cases = all_cases(backend, full=full)
    if wanted.startswith("@"):
        ids = set(Path(wanted[1:]).read_text().splitlines())
        cases = [case for case in cases if case.id in ids]
    else:
        cases = [case for case in cases if case.id.startswith(tuple(parts().get(wanted, wanted.split(","))))]
    results: dict[str, Any] = {}
    clock("read")
    waiting = merged(cases, full=full)
    while waiting:
        found = train([one for one, _ in waiting], faces.split(","))
        again: list[tuple[Any, list[Any]]] = []
        for one, members in waiting:
            if len(members) > 1 and not settled(one, found[one.id]):
                again += [(alone(member, one), [member]) for member in members]
            else:
                results |= {member.id: found[one.id] | {"must_fuse": member.must_fuse} for member in members}
        waiting = again
    with open(file, "wb") as out:
        pickle.dump(results, out)


def clock(what: str) -> None:
    print(f"{what}: {time.process_time():.0f} s of processor time", flush=True)


def forget() -> None:
    """Frees what was compiled and trained."""
    import keras

    gc.collect()
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()


def merged(cases: list[Any], *, full: bool) -> list[tuple[Any, list[Any]]]:
    """What is trained, and for which cases: layers on the same rows share a network, those that programs take and those
    that are left to Keras apart, since one that is left would hide that another is not."""
    from dataclasses import replace

    from catalogue.layers import together

    found: dict[Any, list[Any]] = {}
    for case in cases:
        key = (not why_left(case), case.data, case.faces, case.draws) if case.calls else case.id
        found.setdefault(key, []).append(case)
    parts = [
        (key, own[start : start + TOGETHER]) for key, own in found.items() for start in range(0, len(own), TOGETHER)
    ]
    trained = []
    for number, (key, part) in enumerate(parts):
        one = together(part) if len(part) > 1 else part[0]
        if one.calls:
            faces = one.faces if full else (one.faces[number % len(one.faces)],)
            one = replace(one, must_fuse=key[0], faces=faces)
        trained.append((one, part))
    return trained


def alone(member: Any, group: Any) -> Any:
    from dataclasses import replace

    return replace(member, faces=group.faces)


def why_left(case: Any) -> str:
    """Why no program takes the network of a case; nothing where one does, or must."""
    from catalogue.cases import BATCH, TRAIN
    from unitune.engine.lift.base import Unfusable
    from unitune.engine.reading import read_graph
    from unitune.models.adopt import read_model

    if case.must_fuse:
        return ""
    try:
        read_graph(read_model(case.build()), (TRAIN[case.data][0].shape[1:],), BATCH)
    except Unfusable as reason:
        return str(reason)
    return ""


def settled(case: Any, found: dict[str, Any]) -> bool:
    """Whether what came out for several cases together holds for each of them."""
    ours = [found[face] for face in case.faces]
    if found["error"] or any("raised" in one or one["failure"] for one in ours):
        return False
    return all(
        (not case.must_fuse or one["engine"] == "fused") and distance(one, one["oracle"]) <= 1e-5 for one in ours
    )


def train(cases: list[Any], faces: list[str]) -> dict[str, Any]:
    """What came out for each case in each of its faces, beside what plain `fit` gives."""
    results: dict[str, Any] = {case.id: {} for case in cases}
    for case in cases:
        found = results[case.id]
        try:
            found |= {"oracle": by_fit(case), "error": ""}
        except Exception as error:
            found |= {"oracle": {}, "error": short(error)}
        found["seeded"] = by_fit(case, seeded=True) if case.draws else {}
    clock("plain fit")
    forget()
    gc.freeze()  # sessions are cleared, and so everything collected, for each trial
    for face in faces:
        for group in groups([case for case in cases if face in case.faces]):
            for key, found in tried(group, FACES[face]).items():
                results[key][face] = found
        forget()
        clock(face)
    for case in cases:
        found = results[case.id]
        for face in (one for one in faces if one in found):
            ours = found[face]
            seeded = case.draws and distance(ours, found["seeded"]) < distance(ours, found["oracle"])
            ours["oracle"] = oracle = found["seeded" if seeded else "oracle"]
            ours["moved"] = 0.0
            if 1e-5 < distance(ours, oracle) < 1e-2:
                nudged = [by_fit(case, nudge=seed, seeded=seeded) for seed in (1, 2, 3)]
                ours["moved"] = max(distance({"history": one}, oracle) for one in nudged)
    return results


def short(error: BaseException) -> str:
    lines = traceback.format_exception(error)
    frames = [line for line in lines if "unitune" in line or "keras/src" in line]
    return f"{type(error).__name__}: {str(error)[:600]}" + "\n" + "".join(frames[-3:])


def groups(cases: list[Any]) -> list[list[Any]]:
    """Cases that go through one call: those on the same rows."""
    found: dict[Any, list[Any]] = {}
    for case in cases:
        found.setdefault((case.data, case.epochs), []).append(case)
    return list(found.values())


def tried(cases: list[Any], face: Any) -> dict[str, Any]:
    """What a face gives for these cases; where it raises, for each half, to see which of them it is."""
    from unitune.errors import TrainingError

    try:
        return face(cases)  # type: ignore[no-any-return]
    except Exception as error:
        said = short(error)
        if len(cases) == 1 and isinstance(error, TrainingError):  # all trials failed
            return {cases[0].id: {"engine": "", "reason": "", "failure": said, "history": {}}}
        if len(cases) == 1:
            return {cases[0].id: {"raised": said}}
    middle = len(cases) // 2
    found = tried(cases[:middle], face) | tried(cases[middle:], face)
    if not any("raised" in one or one["failure"] for one in found.values()):
        return {key: one | {"raised": f"only beside others: {said}"} for key, one in found.items()}
    return found


def distance(found: dict[str, Any], oracle: dict[str, Any]) -> float:
    """The largest relative difference between what was logged and what plain `fit` logs."""
    import numpy as np

    differences = [
        float(np.max(np.abs(np.array(values) - oracle[name]) / np.maximum(np.abs(oracle[name]), 1e-7)))
        for name, values in found.get("history", {}).items()
        if len(oracle.get(name, ())) == len(values) > 0
    ]
    return max(differences, default=0.0)


def by_fit(case: Any, nudge: int = 0, seeded: bool = False) -> dict[str, Any]:
    """What plain `fit` logs.

    Args:
        case: Of which there is a network.
        nudge: A seed, with which weights are moved by half a unit in the last place.
        seeded: Whether what is drawn follows from the seed of the search.
    """
    import numpy as np

    from catalogue.cases import BATCH
    from unitune.models.adopt import read_model
    from unitune.models.build import seed_states
    from unitune.tuner.problem import member_seed

    model = case.build()
    if seeded:
        for variable, state in seed_states(model, read_model(model), member_seed(0, 0, 0)):
            variable.assign(state.astype(variable.dtype))
    if nudge:
        rng = np.random.default_rng(nudge)
        for weight in model.trainable_weights:
            value = np.asarray(weight)
            weight.assign(value * (1 + rng.choice([-1, 1], value.shape) * 2.0**-24).astype(value.dtype))
    x, y, validation_data = rows(case.data)
    return model.fit(
        x,
        y,
        validation_data=validation_data,
        epochs=case.epochs,
        batch_size=BATCH,
        shuffle=False,
        verbose=0,
        callbacks=case.callbacks(),
    ).history


def rows(data: str) -> tuple[Any, Any, Any]:
    """The rows and targets to train on, and the pair to validate on. TensorFlow takes text as tensors only."""
    from catalogue.cases import TRAIN, VALIDATION

    def given(x: Any) -> Any:
        if x.dtype != object:
            return x
        import tensorflow as tf

        return tf.constant(x)

    (x, y), (x_val, y_val) = TRAIN[data], VALIDATION[data]
    return given(x), y, (given(x_val), y_val)


def of_result(result: Any, key: str) -> dict[str, Any]:
    """What each trial came to, by its case."""
    found = {}
    for trial in result.trials:
        history = result.history(trial).sort_values("epoch")
        logs = {
            ("" if split == "train" else "val_") + metric: part["value"].tolist()
            for (metric, split), part in history.groupby(["metric", "split"])
        }
        found[trial.configuration[key]] = {
            "engine": trial.engine,
            "reason": trial.engine_reason,
            "failure": trial.failure,
            "history": logs,
        }
    return found


def by_compare(cases: list[Any]) -> dict[str, Any]:
    import unitune
    from catalogue.cases import BATCH

    x, y, validation_data = rows(cases[0].data)
    result = unitune.compare(
        {case.id: case.build() for case in cases},
        x,
        y,
        validation_data=validation_data,
        epochs=cases[0].epochs,
        batch_size=BATCH,
        shuffle=False,
        progress=False,
    )
    return of_result(result, "model")


def hypermodel(cases: list[Any], histories: dict[str, Any]) -> Any:
    import unitune
    from catalogue.cases import BATCH

    known = {case.id: case for case in cases}

    class Mine(unitune.HyperModel):
        def build(self, hp: Any) -> Any:
            return known[hp.Choice("case", list(known))].build()

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            case = known[hp.get("case")]
            kwargs |= {"epochs": case.epochs, "batch_size": BATCH, "shuffle": False, "verbose": 0}
            kwargs["callbacks"] = [*(kwargs.get("callbacks") or ()), *case.callbacks()]
            history = model.fit(*args, **kwargs)
            histories[case.id] = dict(history.history)
            return history

    return Mine()


def by_tune(cases: list[Any]) -> dict[str, Any]:
    import unitune

    x, y, validation_data = rows(cases[0].data)
    result = unitune.tune(
        hypermodel(cases, {}),
        x,
        y,
        validation_data=validation_data,
        strategy="grid",
        trials=None,
        progress=False,
    )
    return of_result(result, "case")


def by_keras_tuner(cases: list[Any]) -> dict[str, Any]:
    import unitune.keras_tuner as kt

    histories: dict[str, Any] = {}
    tuner = kt.GridSearch(
        hypermodel(cases, histories),
        objective=kt.Objective("val_loss", "min"),
        max_trials=len(cases),
        seed=0,
        directory=tempfile.mkdtemp(prefix="catalogue-"),
        progress=False,
    )
    x, y, validation_data = rows(cases[0].data)
    tuner.search(x, y, validation_data=validation_data)
    return {
        trial.hyperparameters.get("case"): {
            "engine": trial.engine,
            "reason": trial.engine_reason,
            "failure": trial.message or "" if trial.status != "COMPLETED" else "",
            "history": histories.get(trial.hyperparameters.get("case"), {}),
        }
        for trial in tuner.oracle.trials.values()
    }


FACES = {"compare": by_compare, "tune": by_tune, "keras_tuner": by_keras_tuner}

if __name__ == "__main__":
    main(*sys.argv[1:])
