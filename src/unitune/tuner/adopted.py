"""`compare`: Keras models that the user built, trained on the same folds, side by side."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitune.data.load import dataset as read_dataset
from unitune.engine.choose import check_engine
from unitune.errors import OptionError
from unitune.models import backend
from unitune.models.adopt import adopt, check_compiled, input_keys, predicts_logits
from unitune.models.blueprint import EarlyStopping
from unitune.models.description import describe, fingerprint
from unitune.models.source import LiveModel
from unitune.report.progress import Listener, all_listeners
from unitune.result import Result
from unitune.search import Grid
from unitune.space import Choice, Hyperparameter, Space
from unitune.store import check_folder
from unitune.tuner.described import describe_call, recorded_call
from unitune.tuner.executors import check_executor, engine_on
from unitune.tuner.loop import Network
from unitune.tuner.outputs import Failures, outputs_of, why_not
from unitune.tuner.pose import check_number, check_options, in_memory, pose
from unitune.tuner.run import run, run_folder

if TYPE_CHECKING:
    import keras

TRAINING = ("epochs", "batch_size", "patience", "normalize", "shuffle")


def compare(
    models: Mapping[str, keras.Model],
    x: Any,
    y: Any = None,
    *,
    target: str | None = None,
    epochs: int = 10,
    batch_size: int = 32,
    patience: int | None = None,
    task: str | None = None,
    objective: str | None = None,
    direction: str | None = None,
    folds: int | None = None,
    repeats: int = 1,
    groups: Any = None,
    cv: Any = None,
    time_ordered: bool = False,
    validation_split: float | None = None,
    validation_data: Any = None,
    test_data: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    normalize: Any = False,
    shuffle: bool = True,
    tolerance: float | None = None,
    engine: str = "auto",
    executor: Any = None,
    seed: int = 0,
    out: str | Path | None = None,
    name: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    store: str | None = None,
    keep: int = 0,
    progress: bool = True,
    callbacks: Iterable[Listener] = (),
) -> Result:
    """Trains compiled Keras models on the same folds and ranks them.

    Each model starts in every fold from the weights that it has now; the models themselves are left as they are.

    Args:
        models: From a name to a compiled model with one output.
        x, y, target: As in `unitune.tune`.
        epochs: How long to train.
        batch_size: Rows per step.
        patience: Stop after so many epochs without improvement of the validation loss, keeping the best weights.
        task: `"binary"`, `"multiclass"` or `"regression"`; follows from the models' loss, or from the target.
        objective, direction, folds, repeats, groups, cv, time_ordered: As in `unitune.tune`.
        validation_split, validation_data, test_data, sample_weight, class_weight: As in `unitune.tune`.
        normalize: Whether rows are normalised before they reach a model. Not by default: a model gets the rows as
            they are, as in its own `fit`.
        shuffle: Whether the rows are shuffled before each epoch.
        tolerance, engine, executor, seed, out, name, overwrite, resume, store, keep, progress, callbacks: As in
            `unitune.tune`. A run goes on only with models that have the weights with which it began: build them after
            `keras.utils.set_random_seed`, or load them.

    Returns:
        A `Result` whose only hyperparameter is `model`.

    Raises:
        InputError: An argument, a model or the data break a rule.
        TrainingError: Every model failed.

    Example:
        unitune.compare({"relu-64": small, "relu-256": wide}, x, y, folds=5, epochs=10).table()
    """
    call = {key: value for key, value in locals().items() if value is not None and key not in ("models", "x", "y")}
    started = time.perf_counter()
    check_options(repeats=repeats, trials=None, time_limit_s=None, seed=seed, patience=patience, tolerance=tolerance)
    check_number("epochs", epochs, low=1, whole=True)
    check_number("batch_size", batch_size, low=1, whole=True)
    if not isinstance(models, Mapping) or not models or not all(isinstance(key, str) for key in models):
        raise OptionError(
            "`models` must map names to compiled Keras models", f"got {_shown(models)}", 'Write `{"relu-64": model}`.'
        )
    check_engine(engine)
    check_executor(executor)
    check_number("keep", keep, low=0, whole=True)
    folder = run_folder(out, name, resume=resume, store=store)
    if keep and folder is None:
        raise OptionError("`keep` needs a run folder", "there is none", 'Give it a name: `name="mine"`.')
    if folder is not None:
        check_folder(folder, overwrite=overwrite, resume=resume)
    backend.ensure()
    for model in models.values():
        check_compiled(model)
    check_one_output(models)
    rows = in_memory({"x": x, "y": y, **call})
    data = read_dataset(
        rows["x"],
        rows["y"],
        target=target,
        task=task,
        sample_weight=rows.get("sample_weight"),
        groups=groups,
        class_weight=class_weight,
        normalize=normalize,
        inputs=inputs_of(models),
        outputs=partial(outputs_of, models.values()),
        takes_text=takes_text(models.values()),
    )
    problem, tests, notes = pose(
        data,
        objective=objective,
        direction=direction,
        folds=folds,
        repeats=repeats,
        cv=cv,
        time_ordered=time_ordered,
        validation_split=validation_split,
        validation_data=rows.get("validation_data"),
        test_data=rows.get("test_data"),
        seed=seed,
        as_given=True,
    )
    networks, failures = {}, Failures()
    for key, model in models.items():
        design, training, weights = adopt(model, problem.input_shape)
        design = replace(design, source=LiveModel(model, problem.input_shape))
        training = replace(
            training,
            batch_size=batch_size,
            epochs=epochs,
            early_stopping=None if patience is None else EarlyStopping(patience=patience),
            shuffle=shuffle,
        )
        networks[key] = Network(
            blueprint=design,
            training=training,
            initial_weights=weights,
            logits=predicts_logits(training),
        )
        reason = why_not(model, problem.input_shape, data.given)
        if reason:
            failures.add(design, reason)
    space = Space([Hyperparameter("model", Choice(tuple(models)))])
    with engine_on(engine, executor) as chosen_engine:
        return run(
            problem,
            Grid(space),
            space=space,
            network=lambda configuration: networks[configuration["model"]],
            engine=failures.before(chosen_engine) if failures else chosen_engine,
            limit=None,
            time_limit_s=None,
            started=started,
            listeners=all_listeners(progress, callbacks),
            notes=notes,
            tests=tests,
            command=describe_call("compare", {"models": list(models), **call}),
            folder=folder,
            overwrite=overwrite,
            store=store,
            resume=resume,
            keep=keep,
            tolerance=None if tolerance is None else float(tolerance),
            settings={
                **{key: value for key, value in recorded_call(call).items() if key in TRAINING},
                "models": {key: describe(one.blueprint, one.training) for key, one in networks.items()},
                "weights": {key: fingerprint(one.initial_weights or ()) for key, one in networks.items()},
            },
        )


def _shown(models: Any) -> str:
    if isinstance(models, Mapping):
        return "an empty one" if not models else "names that are not text"
    return type(models).__name__


def check_one_output(models: Mapping[str, Any]) -> None:
    """Refuses models with several outputs, for which there is no task and no score yet.

    Raises:
        OptionError: One has.
    """
    for model in models.values():
        outputs = getattr(model, "outputs", None) or ()
        if len(outputs) > 1:
            raise OptionError(
                "a model must have one output here",
                f"`{model.name}` has {len(outputs)}",
                "Search models with several outputs with `unitune.keras_tuner`: its tuners train them together, too.",
            )


def takes_text(models: Iterable[Any]) -> bool:
    """Whether some model reads text itself: an input of strings, or a first layer that looks strings up."""
    keras = backend.ensure()
    readers = (keras.layers.TextVectorization, keras.layers.StringLookup)
    for model in models:
        first = next(iter(getattr(model, "layers", ())), None)
        if isinstance(first, readers) or any(one.dtype == "string" for one in getattr(model, "inputs", None) or ()):
            return True
    return False


def inputs_of(models: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of the inputs, where the models have several; else none.

    Raises:
        OptionError: Not all models have the same inputs.
    """
    keys = {model.name: input_keys(model) for model in models.values()}
    several = {name: own for name, own in keys.items() if len(own) > 1}
    if not several:
        return ()
    name, first = next(iter(several.items()))
    for other, own in keys.items():
        if own != first:
            raise OptionError(
                "all models must have the same inputs",
                f"`{name}` has {', '.join(first)}, and `{other}` has {', '.join(own) or 'one'}",
                "Give inputs the same names and order: `keras.Input(shape, name=...)`.",
            )
    return first
