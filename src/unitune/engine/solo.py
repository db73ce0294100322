"""One member after another with plain Keras `fit`: the fallback, and the oracle of the fused engine.

A network of the user's own is trained as the very model that the user compiled (`unitune.models.source`); any other is
built from its blueprint. A member's rows come in the order of `unitune.engine.order.order_of`; everything else is
what `model.fit(x, y, sample_weight, validation_data=...)` does.
"""

from __future__ import annotations

import gc
import math
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.data.arrays import Rows, Split, as_inputs, n_rows, row_shape, take_rows
from unitune.engine.contract import Job, Outcome, Take
from unitune.engine.failed import failed_outcome
from unitune.engine.metrics import known_as
from unitune.engine.order import order_of
from unitune.engine.paused import Again
from unitune.models import backend
from unitune.models.adopt import input_keys
from unitune.models.blueprint import EarlyStopping, Training
from unitune.models.build import build_model, initial_weights, seed_states
from unitune.models.compiled import output_names
from unitune.records import Array

if TYPE_CHECKING:
    import keras

ROWS_PER_PREDICTION = 8_192
MEMBERS_PER_COLLECTION = 10
_STYLE = re.compile(r"\x1b\[[0-9;]*m")  # Keras writes in bold
_PASSED_ON = re.compile(r"Exception encountered when calling (.+?)\.?")


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """What `fit` logged. Arrays are `(epoch, metric)` and `(epoch,)`; `failure` as in `Outcome`."""

    metrics: tuple[str, ...]
    train: Array
    validation: Array
    learning_rate: Array
    best_epoch: int
    failure: str


class SoloEngine:
    """Trains each member with `fit`.

    Args:
        reason: Why its members are not fused, as a clause for the user; goes into every outcome.
    """

    name = "solo"
    plans: tuple[str, ...] = ()
    resumable = None

    def __init__(self, reason: str = "") -> None:
        self.reason = reason

    def train(
        self,
        jobs: Sequence[Job],
        splits: Sequence[Split],
        *,
        should_stop: Callable[[], bool] = lambda: False,
        take: Take | None = None,
    ) -> Iterator[Outcome]:
        """Trains the jobs in their order and gives one outcome for each."""
        for number, job in enumerate(jobs):
            if should_stop():
                return
            if take is not None and not take([job])[0]:
                continue
            yield self._train_one(job, splits[job.split])
            if (number + 1) % MEMBERS_PER_COLLECTION == 0:
                # A model and its compiled functions form cycles. Not `clear_session`: that would also reset the
                # graph and the names of models that the user holds.
                gc.collect()

    def _train_one(self, job: Job, split: Split) -> Outcome:
        started = time.perf_counter()
        try:
            with quiet_arrays(), member_model(job, split) as model:
                fitted = fit_member(model, job, split, epochs=job.last_epoch)
                train_predictions = predict(model, split.x_train)
                validation_predictions = predict(model, split.x_val)
                weights = tuple(np.asarray(weight) for weight in model.get_weights())
        except Exception as error:
            elapsed_s = time.perf_counter() - started
            return failed_outcome(
                job, split, reason_of(error), engine=self.name, engine_reason=self.reason, elapsed_s=elapsed_s
            )
        return Outcome(
            jobs=(job,),
            metrics=fitted.metrics,
            train=fitted.train[None],
            validation=fitted.validation[None],
            learning_rate=fitted.learning_rate[None],
            n_epochs=np.array([len(fitted.train)]),
            best_epoch=np.array([fitted.best_epoch]),
            train_predictions=train_predictions[None],
            validation_predictions=validation_predictions[None],
            weights=(weights,),
            failures=(fitted.failure,),
            elapsed_s=np.array([time.perf_counter() - started]),
            engine=self.name,
            engine_reason=self.reason,
            states=(Again(),) if len(fitted.train) == job.last_epoch < job.training.epochs else (),
        )


@contextmanager
def member_model(job: Job, split: Split, *, seeded: bool = False) -> Iterator[keras.Model]:
    """A member's compiled model before its first epoch. One that the user holds is lent: it is as before afterwards.

    Args:
        job: The member.
        split: Its rows.
        seeded: Whether random numbers follow from the member's seed, as in programs, also in a model that the user
            holds; such a model begins with the weights that it has, and draws on from where its generators are.
    """
    blueprint, seed, input_shape = job.blueprint, job.member.seed, row_shape(split.x_train)
    weights = job.initial_weights
    if blueprint.source is None:
        steps = math.ceil(n_rows(split.x_train) / job.training.batch_size)
        model = build_model(blueprint, input_shape, job.training, seed=seed, steps_per_epoch=steps)
        if weights is not None:
            model.set_weights(list(weights))
        yield model
        return
    with blueprint.source.lent(seed) as model:
        if weights is None and blueprint.layers:
            weights = initial_weights(blueprint, input_shape, seed)
        if weights is not None:
            model.set_weights(list(weights))
        if seeded or blueprint.source.ships or job.member.repeat:
            for variable, state in seed_states(model, blueprint, seed):
                variable.assign(state.astype(variable.dtype))
        yield model


def fit_member(
    model: keras.Model,
    job: Job,
    split: Split,
    *,
    epochs: int | None = None,
    learning_rates: Array | None = None,
    validate: bool = True,
) -> Fitted:
    """Trains a member's model with `fit`.

    Args:
        model: From `member_model`.
        job: The member.
        split: Its rows.
        epochs: Stop after this many epochs; schedules still run over the training's own number of epochs.
        learning_rates: `(epoch,)` rates that replace the training's, one for each epoch. Used to repeat what
            reduce-on-plateau did where there are no validation rows.
        validate: Whether to evaluate the validation rows in each epoch; early stopping and reduce-on-plateau need it.
    """
    keras = backend.ensure()
    training = job.training
    split = as_the_loss_takes(model, split)
    keys = job.blueprint.output_keys
    rows = _rows(model, split, training.batch_size, keys)
    log = _log(keras, rows, job)
    callbacks: list[Any] = [log]
    if learning_rates is not None:
        rates = [float(rate) for rate in learning_rates]
        callbacks.insert(0, keras.callbacks.LearningRateScheduler(lambda epoch: rates[min(epoch, len(rates) - 1)]))
    stopping, names = None, logged_names(model, training)
    names |= {f"val_{ours}": f"val_{theirs}" for ours, theirs in names.items()}
    if validate and training.plateau is not None:
        plateau = training.plateau
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor=names.get(plateau.monitor, plateau.monitor),
                mode="max" if plateau.maximize else "min",
                factor=plateau.factor,
                patience=plateau.patience,
                min_delta=plateau.min_delta,
                cooldown=plateau.cooldown,
                min_lr=plateau.min_lr,
            )
        )
    if validate:
        callbacks += [_stopping(one, names) for one in training.further_stopping]
    if validate and training.early_stopping is not None:
        early = training.early_stopping
        stopping = _stopping(early, names)
        callbacks.append(stopping)
        if early.keep is not None:
            metric, more = early.keep
            # It never stops anything, and comes after the one that does.
            stopping = keras.callbacks.EarlyStopping(
                monitor=names.get(metric, metric),
                mode="max" if more else "min",
                patience=training.epochs + 1,
                restore_best_weights=True,
            )
            callbacks.append(stopping)
    x_val = as_the_inputs_take(model, split.x_val)
    own = [] if job.blueprint.source is None else job.blueprint.source.callbacks(model)
    if own and validate:
        callbacks += own
        stopping = next((one for one in own if getattr(one, "restore_best_weights", False)), stopping)
    validation = (x_val, by_key(split.y_val, keys), *(() if split.w_val is None else (split.w_val,)))
    with quiet_arrays():
        history = model.fit(
            rows,
            epochs=training.epochs if epochs is None else epochs,
            # The data set below brings its own order; `True` would shuffle whole batches with the global generator.
            shuffle=False,
            validation_data=validation if validate else None,
            validation_batch_size=training.batch_size if validate else None,
            callbacks=callbacks,
            verbose=0,
        ).history

    metrics: tuple[str, ...] = ("loss", *training.metric_names)
    if job.blueprint.source is not None and not training.outputs:
        names = in_the_log(names, history)
        metrics = ("loss", *(name for name in names if name != "loss"))
    n_epochs = len(history["loss"])
    best_epoch = n_epochs
    if stopping is not None and stopping.restore_best_weights and stopping.best_weights is not None:
        best_epoch = int(stopping.best_epoch) + 1
    nothing = [math.nan] * n_epochs
    return Fitted(
        metrics=metrics,
        train=np.array([history.get(names[name], nothing) for name in metrics], dtype=np.float64).T,
        validation=np.array([history.get(f"val_{names[name]}", nothing) for name in metrics], dtype=np.float64).T,
        learning_rate=np.array(log.rates, dtype=np.float64),
        best_epoch=best_epoch,
        failure=log.failure,
    )


def _stopping(early: EarlyStopping, names: Mapping[str, str]) -> Any:
    return backend.ensure().callbacks.EarlyStopping(
        monitor=names.get(early.monitor, early.monitor),
        mode="max" if early.maximize else "min",
        patience=early.patience,
        min_delta=early.min_delta,
        restore_best_weights=early.restore_best_weights and early.keep is None,
        baseline=early.baseline,
        start_from_epoch=early.start_from_epoch,
    )


def as_the_loss_takes(model: keras.Model, split: Split) -> Split:
    """The rows with class numbers one-hot again, where the model has a loss of the user's that takes them so."""
    y = split.y_train
    if isinstance(y, tuple) or math.prod(y.shape[1:]) != 1 or not _takes_one_hot(model.loss):
        return split
    known = getattr(model, "outputs", None)
    width = known[0].shape[-1] if known else predict(model, take_rows(split.x_train, slice(1))).shape[-1]
    if (width or 1) < 2:
        return split

    def one_hot(labels: Array) -> Array:
        return np.asarray(np.eye(width, dtype=backend.ensure().config.floatx())[labels.reshape(-1).astype(int)])

    return replace(split, y_train=one_hot(y), y_val=one_hot(split.y_val))


def _takes_one_hot(loss: Any) -> bool:
    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")
    return str(name).replace("_", "").lower() == "categoricalcrossentropy"


def logged_names(model: keras.Model, training: Training) -> dict[str, str]:
    """From our name of the loss and of each metric to that under which the model logs it.

    Outputs of a model that was built again may be called otherwise than the user's.
    """
    if not training.outputs:
        return {name: name for name in ("loss", *training.metric_names)}
    names = {"loss": "loss"}
    for theirs, output in zip(output_names(model), training.outputs, strict=True):
        for name in (f"{output.name}_loss", *output.metric_names):
            names[name] = f"{theirs}{name.removeprefix(output.name)}"
    return names


def in_the_log(names: Mapping[str, str], logs: Iterable[str]) -> dict[str, str]:
    """The names of `logged_names` as they are in what a user's own model logged, and all else that is there.

    A model may log under an alias of our name: `"acc"` for `accuracy`.
    """
    logged = [name for name in logs if not name.startswith("val_") and name != "learning_rate"]
    found = {name: one for one in logged for name in names if name in (one, known_as(one))}
    return found | {name: name for name in logged if name not in found.values()}


@contextmanager
def quiet_arrays() -> Iterator[None]:
    """Silences a warning of NumPy 2 about how Keras reads its own variables; as an error it would fail members."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
        yield


def predict(model: keras.Model, x: Rows, *, call: Callable[..., Any] | None = None) -> Array:
    """The model's predictions in inference mode, `(row, output)`, without compiling a function for them.

    The columns of several outputs lie side by side. `call` is called in the model's place.
    """
    keras = backend.ensure()
    parts: list[list[Array]] = []
    for start in range(0, max(1, n_rows(x)), ROWS_PER_PREDICTION):
        given = as_the_inputs_take(model, take_rows(x, slice(start, start + ROWS_PER_PREDICTION)))
        outputs = (call or model)(list(given) if isinstance(given, tuple) else given, training=False)
        parts.append([keras.ops.convert_to_numpy(one) for one in keras.tree.flatten(outputs)])
    whole = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return np.concatenate([one.reshape(len(one), -1) for one in whole], axis=1)


def as_the_inputs_take(model: keras.Model, x: Rows) -> Any:
    """Rows of several inputs by name, where the model was made of a dictionary of inputs; text as tensors."""
    if isinstance(x, tuple) and any(array.dtype == object for array in x):
        x = tuple(backend.ensure().ops.convert_to_tensor(backend.as_keras_takes(array)) for array in x)
    elif not isinstance(x, tuple):
        x = backend.as_keras_takes(x)
    if isinstance(getattr(model, "_inputs_struct", None), dict):
        return dict(zip(input_keys(model), as_inputs(x), strict=True))
    return x


def by_key(y: Any, keys: Sequence[str]) -> Any:
    """Targets as a model takes them whose outputs come out under these keys; the same where there are none."""
    return dict(zip(keys, y, strict=True)) if keys else y


def _rows(model: Any, split: Split, batch_size: int, keys: Sequence[str]) -> Any:
    """The training rows in batches, in the order of its attribute `order`."""
    keras: Any = backend.ensure()

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.order = np.arange(n_rows(split.x_train))

        def __len__(self) -> int:
            return math.ceil(n_rows(split.x_train) / batch_size)

        def __getitem__(self, number: int) -> tuple[Any, ...]:
            chosen = self.order[number * batch_size : (number + 1) * batch_size]
            x = as_the_inputs_take(model, take_rows(split.x_train, chosen))
            rows = x, by_key(take_rows(split.y_train, chosen), keys)
            if split.w_train is None:
                return rows
            w = split.w_train[chosen]
            if not isinstance(split.y_train, tuple):
                return *rows, w
            # `fit` repeats the weights of the rows for each output, but not where rows come in batches.
            return *rows, by_key(tuple(w for _ in split.y_train), keys)

    return Batches()


def _log(keras: Any, rows: Any, job: Job) -> Any:
    """A callback that orders the rows before each epoch, notes the learning rate and stops a diverged member.

    It has to come before reduce-on-plateau in the list, or the noted rate would be the next epoch's.
    """

    class Log(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rates: list[float] = []
            self.failure = ""
            self._epoch = 0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._epoch = epoch
            rows.order = order_of(job.training, len(rows.order), job.member.seed, epoch)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            # As `keras.callbacks.TerminateOnNaN`, which prints.
            loss = float((logs or {}).get("loss", 0.0))
            if not math.isfinite(loss) and not self.failure:
                self.failure = f"it diverged: the training loss became {loss} in epoch {self._epoch + 1}"
                self.model.stop_training = True

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.rates.append(_last_rate(keras, self.model.optimizer))

    return Log()


def _last_rate(keras: Any, optimizer: Any) -> float:
    """The learning rate of the step that was taken last; `optimizer.learning_rate` is that of the next one."""
    schedule = getattr(optimizer, "_learning_rate", None)
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        step = int(keras.ops.convert_to_numpy(optimizer.iterations.value)) - 1
        return float(keras.ops.convert_to_numpy(schedule(step)))
    rate = getattr(optimizer, "learning_rate", math.nan)  # several that are wrapped have none in common
    return float(keras.ops.convert_to_numpy(getattr(rate, "value", rate)))


def reason_of(error: Exception) -> str:
    """An exception as one line for the user: what was raised inside a layer, not that Keras passed it on."""
    lines = [line.strip() for line in _STYLE.sub("", str(error)).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    passed_on = _PASSED_ON.fullmatch(text)
    if passed_on and len(lines) > 1:
        text = f"{lines[1].rstrip('.')} (in {passed_on[1]})"
    return f"{type(error).__name__}: {text.rstrip('.')}"[:300] if text else type(error).__name__
