"""The covering set: which networks and trainings the fused engine is held against plain Keras with.

For every optimizer there are six members with six dense layers each, and among them every activation. Every layer has
its own way of being regularised or normalised, so each optimizer meets all of these; the activations move through the
layers from optimizer to optimizer, so each activation meets all of both. Members that share a program differ in width,
rates, strengths, dropout and betas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unitune.data.arrays import Split
from unitune.engine.contract import Job
from unitune.models.blueprint import (
    Blueprint,
    EarlyStopping,
    LayerSpec,
    MetricSpec,
    OptimizerSpec,
    Plateau,
    Schedule,
    Training,
)
from unitune.records import Member

BACKENDS = ("tensorflow", "jax")
DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}

N_FEATURES = 5
SEEDS = (3, 11)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A member and how it is compared.

    Attributes:
        name: Unique.
        oracle: `"steps"`: Keras's `train_on_batch` and `test_on_batch`, run eagerly, which take a fraction of the time
            of `fit`; `"fit"`: the solo engine.
        job: The member; its `split` is an index into `splits`.
    """

    name: str
    oracle: str
    job: Job


# Layers -----------------------------------------------------------------------------------------------------------


def dense(units: int, activation: Any = None, **config: Any) -> LayerSpec:
    if activation is not None:
        config["activation"] = activation
    return LayerSpec(class_name="Dense", config={"units": units, **config})


def layer(class_name: str, **config: Any) -> LayerSpec:
    return LayerSpec(class_name=class_name, config=config)


def chain(*layers: LayerSpec) -> Blueprint:
    return Blueprint(layers=layers)


def wave(x: Any) -> Any:
    """A user's own activation, element by element, with f(0) != 0."""
    from keras import ops

    return ops.sin(x) + 0.3


def row_share(x: Any) -> Any:
    """A user's own activation of whole rows."""
    from keras import ops

    return x / (1.0 + ops.sum(ops.abs(x), axis=-1, keepdims=True))


# Activations: a name, a callable, or a layer that follows a linear Dense.
ELEMENTWISE: tuple[Any, ...] = (
    "relu",
    "sigmoid",
    "tanh",
    "softplus",
    "exponential",
    "gelu",
    "leaky_relu",
    "hard_sigmoid",
    "celu",
    "squareplus",
    "log_sigmoid",
    "elu",
    layer("LeakyReLU", negative_slope=0.2),
    "selu",
    "sparse_plus",
    "softsign",
    "silu",
    wave,
    "relu6",
    "sparse_sigmoid",
    layer("ELU", alpha=0.5),
    "hard_silu",
    "soft_shrink",
    "tanh_shrink",
    "linear",
    layer("ReLU", max_value=1.0, negative_slope=0.1, threshold=0.05),
    "mish",
    "hard_tanh",
    "hard_shrink",
    layer("ReLU"),
)
ROWWISE: tuple[Any, ...] = ("softmax", "log_softmax", "sparsemax", layer("Softmax"), row_share)


def activated(units: int, activation: Any, between: tuple[LayerSpec, ...] = (), **config: Any) -> list[LayerSpec]:
    """A dense layer, what comes between, then its activation."""
    if isinstance(activation, LayerSpec):
        return [dense(units, **config), *between, activation]
    if between:
        return [dense(units, **config), *between, layer("Activation", activation=activation)]
    return [dense(units, activation, **config)]


# Optimizers -------------------------------------------------------------------------------------------------------

# name -> class, learning rate, arguments, and arguments by member (two values, alternating).
OPTIMIZERS: dict[str, tuple[str, float, dict[str, Any], dict[str, tuple[float, float]]]] = {
    "sgd": ("SGD", 0.05, {}, {}),
    "sgd_momentum": ("SGD", 0.02, {"global_clipnorm": 0.5}, {"momentum": (0.9, 0.5)}),
    "sgd_nesterov": ("SGD", 0.02, {"momentum": 0.8, "nesterov": True, "use_ema": True, "ema_momentum": 0.7}, {}),
    "rmsprop": ("RMSprop", 0.003, {"clipnorm": 0.1}, {"rho": (0.9, 0.8)}),
    "rmsprop_momentum": ("RMSprop", 0.002, {}, {"momentum": (0.9, 0.4), "rho": (0.9, 0.7)}),
    "rmsprop_centered": ("RMSprop", 0.003, {"centered": True}, {"epsilon": (1e-7, 1e-4)}),
    "rmsprop_all": ("RMSprop", 0.002, {"momentum": 0.5, "centered": True, "clipvalue": 0.02}, {}),
    "adam": ("Adam", 0.005, {}, {"beta_1": (0.9, 0.7), "beta_2": (0.999, 0.9)}),
    "adam_amsgrad": ("Adam", 0.005, {"amsgrad": True, "global_clipnorm": 0.3}, {"beta_1": (0.9, 0.8)}),
    "adam_ema": ("Adam", 0.005, {"use_ema": True, "clipnorm": 0.2, "gradient_accumulation_steps": 3}, {}),
    "adamw": ("AdamW", 0.005, {}, {"beta_2": (0.999, 0.95)}),
    "adamax": ("Adamax", 0.005, {"clipvalue": 0.05}, {"beta_1": (0.9, 0.6), "beta_2": (0.999, 0.9)}),
    "nadam": ("Nadam", 0.005, {"gradient_accumulation_steps": 2}, {}),
    "nadam_betas": ("Nadam", 0.005, {"clipnorm": 0.5}, {"beta_1": (0.9, 0.8), "beta_2": (0.999, 0.9)}),
    "adagrad": ("Adagrad", 0.05, {"initial_accumulator_value": 0.2}, {"epsilon": (1e-7, 1e-3)}),
    "adadelta": ("Adadelta", 1.0, {}, {"rho": (0.95, 0.8)}),
    "lion": ("Lion", 0.001, {}, {"beta_1": (0.9, 0.8), "beta_2": (0.99, 0.9)}),
    "ftrl": ("Ftrl", 0.05, {}, {}),
    "ftrl_all": (
        "Ftrl",
        0.05,
        {
            "learning_rate_power": -0.6,
            "initial_accumulator_value": 0.2,
            "l1_regularization_strength": 1e-3,
            "l2_regularization_strength": 1e-3,
            "l2_shrinkage_regularization_strength": 1e-3,
            "beta": 0.1,
        },
        {},
    ),
}

# (units, activation of the output, loss, metrics)
HEADS: tuple[tuple[int, str, str, tuple[str, ...]], ...] = (
    (1, "sigmoid", "binary_crossentropy", ("accuracy",)),
    (3, "softmax", "sparse_categorical_crossentropy", ("accuracy",)),
    (2, "linear", "mean_squared_error", ("mae", "mse")),
)
N_POSITIONS = N_MEMBERS = 6
SHIFT = 1
WIDTHS = ((4, 7, 7, 4, 7, 4), (7, 4, 4, 7, 4, 7))


def optimizer(name: str, member: int) -> OptimizerSpec:
    """An optimizer of the table, with this member's own numbers."""
    class_name, rate, config, own = OPTIMIZERS[name]
    mine = {key: values[member % 2] for key, values in own.items()}
    decay = {"weight_decay": (0.0, 0.05, 0.01)[member % 3]} if class_name != "Ftrl" or member % 3 else {}
    return OptimizerSpec(
        class_name=class_name, learning_rate=rate * (1.0, 0.5, 0.8)[member % 3], config={**config, **mine, **decay}
    )


def network(number: int, member: int) -> Blueprint:
    """Six dense layers, each with another way of being regularised; activations move with the optimizer's number."""
    units, output, _, _ = HEADS[number % len(HEADS)]
    rowwise_at = number % N_POSITIONS
    # So turned that over the optimizers every activation comes to every layer; a test holds it to that.
    slots = [(5 * member + i - SHIFT * number) % len(ELEMENTWISE) for i in range(5)]
    chosen = [ELEMENTWISE[slot] for slot in slots]
    chosen.insert(rowwise_at, ROWWISE[(member + number) % len(ROWWISE)])
    widths = [4 if i == rowwise_at else width for i, width in enumerate(WIDTHS[member % 2])]
    penalties: dict[str, Any] = {
        "kernel_regularizer": (
            {"class_name": "L1", "config": {"l1": 0.002}},
            {"class_name": "L2", "config": {"l2": 0.01}},
            {"class_name": "L1L2", "config": {"l1": 0.001, "l2": 0.02}},
            None,
            "l2",
            {"class_name": "L1L2", "config": {"l1": 0.001}},
        )[member],
        "bias_regularizer": (None, "l1", {"class_name": "L2", "config": {"l2": 0.03}})[member % 3],
    }
    clip_norm = {"class_name": "MaxNorm", "config": {"max_value": 0.8, "axis": 0}}
    band = {"class_name": "MinMaxNorm", "config": {"min_value": 0.4, "max_value": 0.9, "rate": 0.7, "axis": 0}}
    blocks = [
        [*activated(widths[0], chosen[0], **penalties), layer("Dropout", rate=(0.0, 0.2, 0.5)[member % 3])],
        activated(widths[1], chosen[1], kernel_constraint=clip_norm, bias_constraint="max_norm"),
        activated(widths[2], chosen[2], between=(layer("BatchNormalization", momentum=0.8),), use_bias=False),
        activated(widths[3], chosen[3], kernel_constraint="non_neg", bias_constraint="non_neg"),
        [*activated(widths[4], chosen[4]), layer("LayerNormalization")],
        activated(widths[5], chosen[5], kernel_constraint=(band, "unit_norm")[number % 2]),
    ]
    blocks[(number + 3) % N_POSITIONS].append(
        layer("PReLU", alpha_initializer={"class_name": "Constant", "config": {"value": 0.25}})
    )
    return chain(*(spec for block in blocks for spec in block), dense(units, output))


def covering_cases() -> list[Case]:
    """Every activation, regulariser, constraint, normalisation and dropout with every optimizer."""
    cases = []
    for number, name in enumerate(OPTIMIZERS):
        _, _, loss, metrics = HEADS[number % len(HEADS)]
        for member in range(N_MEMBERS):
            job = Job(
                member=Member(trial=len(cases), fold=0, repeat=0, seed=SEEDS[0]),
                split=number % len(HEADS),
                blueprint=network(number, member),
                training=Training(
                    optimizer=optimizer(name, member), loss=loss, metrics=metrics, batch_size=16, epochs=3
                ),
            )
            cases.append(Case(name=f"{name}-{member}", oracle="steps", job=job))
    return cases


# What depends on data, callbacks and schedules -------------------------------------------------------------------


def small(units: int, activation: Any, head: int, *, rate: float = 0.0) -> Blueprint:
    out, output, _, _ = HEADS[head]
    return chain(dense(units, activation), layer("Dropout", rate=rate), dense(out, output))


def training(head: int, optimizer: OptimizerSpec | None = None, **options: Any) -> Training:
    _, _, loss, metrics = HEADS[head]
    chosen = optimizer or OptimizerSpec(class_name="Adam", learning_rate=0.02)
    options = {"batch_size": 16, "epochs": 3, **options}
    return Training(optimizer=chosen, loss=loss, metrics=metrics, **options)


def data_cases() -> list[Case]:
    """Ragged folds and batches, sample weights, other numbers of features; normalisation on a last batch of one row."""
    cases = []
    normal = chain(dense(5, "sigmoid"), layer("BatchNormalization"), layer("LayerNormalization"), dense(1, "sigmoid"))
    for name, split, blueprint, head in (
        ("ragged-binary", 3, small(4, "softplus", 0, rate=0.3), 0),
        ("one-row-left", 4, small(6, "gelu", 0, rate=0.1), 0),
        ("fewer-than-a-batch", 5, small(3, "relu", 0, rate=0.0), 0),
        ("weighted-multiclass", 6, small(5, "elu", 1, rate=0.2), 1),
        ("weighted-regression", 7, small(4, "sigmoid", 2), 2),
        ("other-features", 8, small(5, "tanh", 1), 1),
        ("normalised-one-row-left", 4, normal, 0),
    ):
        job = Job(
            member=Member(trial=0, fold=split, repeat=0, seed=SEEDS[len(cases) % 2]),
            split=split,
            blueprint=blueprint,
            training=training(head),
        )
        cases.append(Case(name=name, oracle="fit", job=job))
    counted = (
        MetricSpec(class_name="AUC", name="auc", config=(("num_thresholds", 40),)),
        MetricSpec(class_name="AUC", name="pr", config=(("curve", "PR"), ("num_thresholds", 40))),
        MetricSpec(class_name="Precision", name="precision"),
        MetricSpec(class_name="Recall", name="recall"),
        MetricSpec(class_name="BinaryAccuracy", name="low", config=(("threshold", 0.3),)),
        MetricSpec(class_name="Poisson", name="poisson"),
        MetricSpec(class_name="F1Score", name="f1", config=(("average", "weighted"), ("threshold", 0.4))),
    )
    job = Job(
        member=Member(trial=0, fold=3, repeat=0, seed=SEEDS[0]),
        split=3,
        blueprint=small(4, "softplus", 0, rate=0.3),
        training=replace(training(0), metrics=counted),
    )
    cases.append(Case(name="metrics-as-objects", oracle="fit", job=job))
    # What accuracy means follows from the shapes of target and output, whatever the loss.
    for name, loss in (("one-hot", "categorical_crossentropy"), ("one-hot-squares", "mean_squared_error")):
        one = replace(training(1), loss=loss)
        job = Job(
            member=Member(trial=0, fold=10, repeat=0, seed=SEEDS[0]),
            split=10,
            blueprint=small(5, "selu", 1, rate=0.1),
            training=one,
        )
        cases.append(Case(name=name, oracle="fit", job=job))
    job = Job(
        member=Member(trial=0, fold=3, repeat=0, seed=SEEDS[1]),
        split=3,
        blueprint=small(4, "elu", 0),
        training=replace(training(0), loss_weight=2.5),
    )
    cases.append(Case(name="loss-weight", oracle="fit", job=job))
    return cases


def callback_cases() -> list[Case]:
    """Early stopping, plateaus and schedules, each with its own numbers, in as few programs as there can be."""
    sgd = OptimizerSpec(class_name="SGD", learning_rate=1.5, config={"momentum": 0.5})
    slow = replace(sgd, learning_rate=0.4)
    average = OptimizerSpec(class_name="Adam", learning_rate=0.1, config={"use_ema": True, "ema_momentum": 0.8})
    stop = EarlyStopping
    table: list[tuple[str, Training]] = [
        ("stop-restore", training(0, sgd, epochs=14, early_stopping=stop(patience=2))),
        ("stop-last", training(0, sgd, epochs=14, early_stopping=stop(patience=2, restore_best_weights=False))),
        ("stop-delta", training(0, slow, epochs=12, early_stopping=stop(patience=1, min_delta=0.02))),
        ("stop-baseline", training(0, sgd, epochs=10, early_stopping=stop(patience=3, baseline=0.01))),
        (
            "stop-later",
            training(0, slow, epochs=10, early_stopping=stop(patience=1, min_delta=0.02, start_from_epoch=3)),
        ),
        ("stop-never-looks", training(0, slow, epochs=4, early_stopping=stop(patience=1, start_from_epoch=9))),
        ("stop-patience-0", training(0, slow, epochs=10, early_stopping=stop(patience=0))),
        ("stop-never", training(0, slow, epochs=7)),
        ("plateau", training(0, sgd, epochs=12, plateau=Plateau(factor=0.5, patience=1, min_lr=0.3))),
        (
            "plateau-accuracy",
            training(0, sgd, epochs=12, plateau=Plateau(factor=0.4, patience=1, monitor="val_accuracy", maximize=True)),
        ),
        (
            "plateau-cooldown-stop",
            training(
                0,
                slow,
                epochs=12,
                plateau=Plateau(factor=0.3, patience=1, cooldown=2, min_delta=0.01),
                early_stopping=stop(patience=5),
            ),
        ),
        ("average-stop-restore", training(0, average, epochs=8, early_stopping=stop(patience=1))),
        ("average-epochs", training(0, average, epochs=4)),
        (
            "average-stop-last",
            training(0, average, epochs=8, early_stopping=stop(patience=1, restore_best_weights=False)),
        ),
        ("cosine", training(0, schedule=Schedule(name="cosine"))),
        ("warmup", training(0, schedule=Schedule(name="warmup_cosine", params=(("warmup", 0.3),)), epochs=4)),
        ("exponential", training(0, schedule=Schedule(name="exponential"))),
        ("step", training(0, schedule=Schedule(name="step", params=(("every", 0.34),)))),
    ]
    return [
        Case(
            name=name,
            oracle="fit",
            job=Job(
                member=Member(trial=i, fold=0, repeat=0, seed=SEEDS[0]),
                split=9,
                blueprint=small(3 + i % 4, ("tanh", "sigmoid")[i % 2], 0, rate=0.2 * (i % 3)),
                training=own,
            ),
        )
        for i, (name, own) in enumerate(table)
    ]


# An optimizer is compared on one backend in each type, in float32 one or two of a class, and its six members are dealt
# out to the two: every optimizer is compared in float64, and every class on both backends and in both types, but not
# all at once. That takes ten minutes a worker, and is for `UNITUNE_PARITY=full`. What of it is not `exhaustive`, and so
# runs with `make test`, is of float64, where a tolerance of 1e-10 leaves no room: one member of every class of
# optimizers, of another shape from class to class, and everything beside optimizers; of float32 the callbacks.
_WORKERS = [("tensorflow", "float64"), ("jax", "float64"), ("tensorflow", "float32"), ("jax", "float32")]
_MEMBERS = {"float64": (0, 1, 4), "float32": (2, 3, 5)}
_IN_FLOAT32 = (
    *("sgd_nesterov", "rmsprop_all", "adam_amsgrad", "adam_ema", "adamw", "adamax", "nadam_betas"),
    *("adagrad", "adadelta", "lion", "ftrl_all"),
)


def takes(backend: str, dtype: str, number: int, member: int) -> bool:
    """Whether a worker takes a member of the optimizer with this number."""
    if dtype == "float32" and list(OPTIMIZERS)[number] not in _IN_FLOAT32:
        return False
    turn = (BACKENDS.index(backend) + DTYPES.index(dtype)) % 2
    return number % 2 == turn and member in _MEMBERS[dtype]


def cases(backend: str, dtype: str, *, full: bool = False) -> list[Case]:
    """All cases of one worker. Callbacks do not depend on the floating type, so one type has them."""
    numbers = list(OPTIMIZERS)
    chosen = [
        case
        for case in covering_cases()
        if full or takes(backend, dtype, numbers.index(case.name[:-2]), int(case.name[-1]))
    ]
    # Each of the others is compared on both backends, once in each type; callbacks are the same code on both.
    own = _WORKERS.index((backend, dtype)) in (0, 3)
    data = [case for place, case in enumerate(data_cases()) if full or own == (place % 2 == 0)]
    callbacks = callback_cases() if dtype == "float32" else []
    return chosen + data + (callbacks[::2] if backend == "jax" and not full else callbacks)


def is_exhaustive(backend: str, dtype: str, name: str) -> bool:
    """Whether a case is left to `make test-all`."""
    if dtype == "float32":
        return backend == "jax" or name not in {case.name for case in callback_cases()}
    optimizer, _, member = name.rpartition("-")
    if optimizer not in OPTIMIZERS:
        return False
    turns = {one: _MEMBERS["float64"][turn % 3] for turn, one in enumerate(_IN_FLOAT32)}
    return optimizer not in turns or int(member) != turns[optimizer]


# Rows -------------------------------------------------------------------------------------------------------------


def make_split(
    fold: int, head: int, n_train: int, n_val: int, *, features: int = N_FEATURES, weighted: bool = False
) -> Split:
    """Random rows whose target follows from them."""
    rng = np.random.default_rng((7, fold))
    x = rng.normal(size=(n_train + n_val, features))
    if head == 0:
        y = (x[:, :1] + 0.5 * rng.normal(size=(len(x), 1)) > 0).astype(float)
    elif head == 1:
        y = np.argmax(x[:, :3] + 0.5 * rng.normal(size=(len(x), 3)), axis=1).astype("int32")
    else:
        y = np.stack([np.sin(x[:, 0]) + x[:, 1], x[:, 2] * x[:, 0]], axis=1)
    w = rng.uniform(0.2, 2.0, size=len(x))
    return Split(
        fold=fold,
        repeat=0,
        x_train=x[:n_train],
        y_train=y[:n_train],
        x_val=x[n_train:],
        y_val=y[n_train:],
        w_train=w[:n_train] if weighted else None,
        w_val=w[n_train:] if weighted else None,
    )


def as_floats(split: Split, dtype: str) -> Split:
    """The split with its floats in this type."""

    def cast(array: Any) -> Any:
        return array if array is None or array.dtype.kind in "iu" else array.astype(dtype)

    names = ("x_train", "y_train", "x_val", "y_val", "w_train", "w_val")
    return replace(split, **{name: cast(getattr(split, name)) for name in names})


def one_hot(split: Split) -> Split:
    return replace(split, y_train=np.eye(3)[split.y_train], y_val=np.eye(3)[split.y_val])


def splits(dtype: str) -> list[Split]:
    """Splits by index: three plain ones (a head each), then those of `data_cases` and `callback_cases`."""
    table = [
        make_split(0, 0, 32, 12),
        make_split(1, 1, 32, 12),
        make_split(2, 2, 32, 12),
        make_split(3, 0, 45, 17),
        make_split(4, 0, 33, 14),
        make_split(5, 0, 11, 5),
        make_split(6, 1, 37, 16, weighted=True),
        make_split(7, 2, 40, 15, weighted=True),
        make_split(8, 1, 37, 12, features=3),
        make_split(9, 0, 40, 20),
        one_hot(make_split(10, 1, 32, 12)),
    ]
    return [as_floats(split, dtype) for split in table]
