"""Optimizers and callbacks: name -> arguments that are not the default."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from catalogue.cases import Case, late, network
from catalogue.listing import public

OPTIMIZERS: dict[str, Any] = {
    "Adadelta": {"learning_rate": 1.0, "rho": 0.8, "epsilon": 1e-5, "clipnorm": 0.3},
    "Adafactor": {"learning_rate": 0.02, "beta_2_decay": -0.6, "relative_step": False},
    "Adagrad": {"learning_rate": 0.1, "initial_accumulator_value": 0.2, "epsilon": 1e-4, "weight_decay": 0.1},
    "Adam": {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.9, "amsgrad": True, "global_clipnorm": 0.5},
    "AdamW": {"learning_rate": 0.02, "weight_decay": 0.2, "beta_1": 0.8, "use_ema": True, "ema_momentum": 0.6},
    "Adamax": {"learning_rate": 0.02, "beta_1": 0.8, "clipvalue": 0.1},
    "Ftrl": {"learning_rate": 0.05, "learning_rate_power": -0.6, "l1_regularization_strength": 0.01, "beta": 0.1},
    "Lamb": {"learning_rate": 0.02, "beta_1": 0.8, "weight_decay": 0.1},
    "Lion": {"learning_rate": 0.005, "beta_1": 0.8, "beta_2": 0.9},
    "LossScaleOptimizer": lambda: {"inner_optimizer": keras.optimizers.SGD(0.05), "initial_scale": 8.0},
    "MultiOptimizer": lambda: {
        "optimizer_map": keras.optimizers.OptimizerMap(
            keras.optimizers.SGD(0.05), {"bias": keras.optimizers.Adam(0.02)}
        )
    },
    "Muon": {"learning_rate": 0.02, "momentum": 0.8},
    "Nadam": {"learning_rate": 0.02, "beta_1": 0.8, "weight_decay": 0.1},
    "RMSprop": {"learning_rate": 0.02, "rho": 0.8, "momentum": 0.3, "centered": True},
    "SGD": {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True, "gradient_accumulation_steps": 2},
    "ScheduleFreeAdamW": {"learning_rate": 0.02, "beta_1": 0.8, "warmup_steps": 2},
}
WITHOUT = {
    "Optimizer": "the base class",
    "OptimizerMap": "an argument of MultiOptimizer",
    "Callback": "the base class",
    "CallbackList": "what `fit` makes of its callbacks",
}


def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="catalogue-"))


CALLBACKS: dict[str, Any] = {
    "BackupAndRestore": lambda: {"backup_dir": _folder() / "backup"},
    "CSVLogger": lambda: {"filename": _folder() / "log.csv", "separator": ";"},
    "EarlyStopping": {
        **{"monitor": "loss", "mode": "max", "patience": 1, "min_delta": 10.0, "restore_best_weights": True},
        **{"baseline": 0.1, "start_from_epoch": 1},
    },
    "History": {},
    "LambdaCallback": {"on_epoch_end": lambda epoch, logs: None},
    "LearningRateScheduler": {"schedule": lambda epoch, rate: rate * 0.5},
    "ModelCheckpoint": lambda: {"filepath": _folder() / "at.weights.h5", "save_weights_only": True},
    "OrbaxCheckpoint": lambda: {"directory": _folder()},
    "ProgbarLogger": {},
    "ReduceLROnPlateau": {"monitor": "loss", "factor": 0.3, "patience": 1, "min_delta": 10.0, "min_lr": 0.001},
    "RemoteMonitor": {"root": "http://localhost:1"},
    "SwapEMAWeights": {"swap_on_epoch": True},
    "TensorBoard": lambda: {"log_dir": _folder(), "write_graph": False},
    "TerminateOnNaN": {},
}
TABLES = {"optimizers": (OPTIMIZERS, WITHOUT), "callbacks": (CALLBACKS, WITHOUT)}
STOPPING_EPOCHS = 4


def cases() -> Iterator[Case]:
    for name, one in public("optimizers").items():
        if name not in OPTIMIZERS:
            continue
        for variant, kind in (("given", one), ("subclass", _faster(one))):
            build = late(network, "real", optimizer=_made(kind, OPTIMIZERS[name]))
            yield Case(kind="optimizers", name=name, variant=variant, data="real", build=build)
    for name, one in public("callbacks").items():
        if name not in CALLBACKS:
            continue
        for variant, kind in (("given", one), ("subclass", _stopping(one))):
            optimizer = late(keras.optimizers.SGD, 0.05, use_ema=name == "SwapEMAWeights")
            make = _made(kind, CALLBACKS[name])
            yield Case(
                kind="callbacks",
                name=name,
                variant=variant,
                data="real",
                build=late(network, "real", optimizer=optimizer),
                faces=("tune", "keras_tuner"),
                callbacks=lambda make=make: [make()],
                epochs=STOPPING_EPOCHS,
            )


def _made(kind: type, config: Any) -> Any:
    return lambda: kind(**(config() if callable(config) else config))


def _faster(kind: Any) -> type:
    """Takes steps of another size."""

    def apply(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
        return kind.apply(self, [grad * 0.5 for grad in grads], trainable_variables)

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> Any:
        return kind.update_step(self, gradient, variable, learning_rate * 1.5)

    method = apply if kind.__name__ in ("LossScaleOptimizer", "MultiOptimizer") else update_step
    return type(kind.__name__, (kind,), {method.__name__: method})


def _stopping(kind: type) -> type:
    """Ends after two epochs."""

    def on_epoch_end(self: Any, epoch: int, logs: Any = None) -> None:
        kind.on_epoch_end(self, epoch, logs)
        if epoch == 1:
            self.model.stop_training = True

    return type(kind.__name__, (kind,), {"on_epoch_end": on_epoch_end})
