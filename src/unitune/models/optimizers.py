"""Optimizers: by name, with arguments, as Keras objects; from any of them to an `OptimizerSpec`, and back to Keras."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from unitune.errors import SpaceError, suggest
from unitune.models import backend
from unitune.models.blueprint import OptimizerSpec
from unitune.models.identity import NotPlain, check_twin, is_kerass, keras_class, made_again
from unitune.models.keras_objects import object_config
from unitune.models.value_key import BOOKKEEPING
from unitune.space.parse import call

# name -> class in `keras.optimizers`, default learning rate, arguments of its own.
_TABLE: dict[str, tuple[str, float, str]] = {
    "adadelta": ("Adadelta", 0.001, "rho epsilon"),
    "adafactor": ("Adafactor", 0.001, "beta_2_decay epsilon_1 epsilon_2 clip_threshold relative_step"),
    "adagrad": ("Adagrad", 0.001, "initial_accumulator_value epsilon"),
    "adam": ("Adam", 0.001, "beta_1 beta_2 epsilon amsgrad"),
    "adamax": ("Adamax", 0.001, "beta_1 beta_2 epsilon"),
    "adamw": ("AdamW", 0.001, "beta_1 beta_2 epsilon amsgrad"),
    "ftrl": (
        "Ftrl",
        0.001,
        "learning_rate_power initial_accumulator_value l1_regularization_strength l2_regularization_strength "
        "l2_shrinkage_regularization_strength beta",
    ),
    "lamb": ("Lamb", 0.001, "beta_1 beta_2 epsilon"),
    "lion": ("Lion", 0.001, "beta_1 beta_2"),
    "muon": (
        "Muon",
        0.001,
        "adam_beta_1 adam_beta_2 adam_weight_decay epsilon exclude_layers exclude_embeddings muon_a muon_b muon_c "
        "adam_lr_ratio momentum ns_steps nesterov rms_rate",
    ),
    "nadam": ("Nadam", 0.001, "beta_1 beta_2 epsilon"),
    "rmsprop": ("RMSprop", 0.001, "rho momentum epsilon centered"),
    "schedulefreeadamw": ("ScheduleFreeAdamW", 0.0025, "beta_1 beta_2 epsilon warmup_steps"),
    "sgd": ("SGD", 0.01, "momentum nesterov"),
}

_COMMON = frozenset(
    [
        "learning_rate",
        "weight_decay",
        "clipnorm",
        "clipvalue",
        "global_clipnorm",
        "use_ema",
        "ema_momentum",
        "ema_overwrite_frequency",
        "loss_scale_factor",
        "gradient_accumulation_steps",
        "name",
    ]
)

OPTIMIZERS: dict[str, str] = {name: row[0] for name, row in _TABLE.items()}
"""From every optimizer's name to its class in `keras.optimizers`."""

# Their own default is a decay (0.004), so that 0 must be said; the others take None for no decay.
_DECAYS_BY_DEFAULT = frozenset({"AdamW", "Muon"})


def arguments(name: str) -> frozenset[str]:
    """The arguments that an optimizer takes, by its name: `arguments("sgd")` has `momentum` in it."""
    return _COMMON | set(_TABLE[name][2].split())


def check(value: Any) -> Any:
    """Checks an optimizer of a search space.

    Args:
        value: A name in any case (`"adam"`, `"AdamW"`), a name with arguments
            (`"sgd(momentum=0.9, nesterov=true)"`), a `keras.optimizers.Optimizer`, or its class.

    Returns:
        The value in its canonical form: a name in lower case, its arguments as Python writes them.

    Raises:
        SpaceError: The name or an argument is unknown, or the value is no optimizer.

    Example:
        >>> check("SGD(momentum=.9, nesterov=true)")
        'sgd(momentum=0.9, nesterov=True)'
    """
    if isinstance(value, str):
        return _check_text(value)
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "optimizers"):
        if isinstance(value, keras.optimizers.Optimizer):
            reason = why_not_anew(value)
            if reason:
                raise SpaceError(
                    "an optimizer in a space must be what its arguments say, since each network gets one of its own",
                    f"but {reason}",
                    "Give a new one, or write a class whose `get_config` tells all.",
                )
            return value
        if isinstance(value, type) and issubclass(value, keras.optimizers.Optimizer):
            own = value.__name__.lower() in OPTIMIZERS and keras_class("optimizers", value.__name__) is value
            return value.__name__.lower() if own else value()
    raise SpaceError(
        "`optimizers` must be names or Keras optimizers",
        f"got {value!r}",
        "For example 'adam', 'sgd(momentum=0.9)', or `keras.optimizers.Lion()`.",
    )


def _check_text(text: str) -> str:
    name, given = call(text)
    base = name.lower().replace("_", "")
    if base not in _TABLE:
        raise SpaceError("`optimizers` must be names that Keras knows", f"got `{name}`", suggest(base, _TABLE))
    allowed = arguments(base)
    for argument in given:
        if argument not in allowed:
            raise SpaceError(f"`{base}` has no such argument", f"got `{argument}`", suggest(argument, allowed))
    if given.get("nesterov") and not given.get("momentum") and base == "sgd":
        raise SpaceError(
            "Nesterov needs a momentum above 0", f"got `{text}`", "Write `sgd(momentum=0.9, nesterov=true)`."
        )
    if not given:
        return base
    return f"{base}({', '.join(f'{key}={item!r}' for key, item in given.items())})"


@functools.lru_cache(maxsize=256)
def _text_spec(text: str) -> OptimizerSpec:
    name, given = call(text)
    class_name, rate, _ = _TABLE[name]
    config = {key: item for key, item in given.items() if key not in ("learning_rate", "name")}
    return OptimizerSpec(class_name=class_name, learning_rate=float(given.get("learning_rate", rate)), config=config)


def spec(value: Any, *, learning_rate: float | None = None, weight_decay: float | None = None) -> OptimizerSpec:
    """The optimizer as plain values.

    Args:
        value: What `check` returns.
        learning_rate: Overrules the optimizer's own where it is given.
        weight_decay: Decoupled: `v -= v * weight_decay * learning_rate` in every step. None keeps the optimizer's own
            (0.004 for AdamW and Muon, none for the others), 0 is none.

    Example:
        >>> spec("sgd(momentum=0.9)", weight_decay=0.01)
        OptimizerSpec(class_name='SGD', learning_rate=0.01, config={'momentum': 0.9, 'weight_decay': 0.01})
    """
    base = _text_spec(value) if isinstance(value, str) else from_keras(value)
    config = base.config
    if weight_decay is not None:
        config = {key: item for key, item in config.items() if key != "weight_decay"}
        if weight_decay or base.class_name in _DECAYS_BY_DEFAULT:
            config["weight_decay"] = weight_decay
    rate = base.learning_rate if learning_rate is None else float(learning_rate)
    return dataclasses.replace(base, learning_rate=rate, config=config)


def learning_rate_schedule(optimizer: Any) -> Any:
    """The `LearningRateSchedule` of a Keras optimizer, or None where its rate is a number."""
    keras = backend.ensure()
    rate = getattr(optimizer, "_learning_rate", None)
    return rate if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else None


def from_keras(optimizer: Any) -> OptimizerSpec:
    """Reads a Keras optimizer. Where its learning rate is a schedule, the spec's is 1: see `schedules.from_keras`.

    An optimizer of the user's own class (and one that wraps others) is kept live under `"optimizer"`.
    """
    scheduled = learning_rate_schedule(optimizer) is not None or callable(getattr(optimizer, "_learning_rate", None))
    own = getattr(optimizer, "learning_rate", None)  # several wrapped ones have none in common
    rate = 1.0 if scheduled or own is None else _readable(float(own))
    name = type(optimizer).__name__
    if name not in OPTIMIZERS.values() or not is_kerass(optimizer, "optimizers"):
        return OptimizerSpec(class_name=name, learning_rate=rate, config={"optimizer": optimizer})
    config = object_config(optimizer, without=frozenset({"learning_rate", "name"}))
    return OptimizerSpec(class_name=name, learning_rate=rate, config=config)


def why_not_anew(optimizer: Any) -> str:
    """Why an optimizer made of its configuration would do something else; empty where it would not.

    It may have been trained with, hold a list of variables that are not to decay, or have a method put in.
    """
    title = f"the optimizer `{type(optimizer).__name__}`"
    keras = backend.ensure()
    rate = getattr(optimizer, "_learning_rate", None)
    if callable(rate) and learning_rate_schedule(optimizer) is None and not isinstance(rate, keras.Variable):
        return f"the learning rate of {title} is a function"
    try:
        steps = int(keras.ops.convert_to_numpy(optimizer._iterations.value))
        if steps:
            return f"{title} has taken {steps} steps already"
        config = {name: value for name, value in optimizer.get_config().items() if name != "name"}
        if "learning_rate" in config:
            config["learning_rate"] = 1.0  # which does not count
        if optimizer.built:
            _check_slots(optimizer, config, title)
            return ""

        def make() -> Any:
            return made_again(type(optimizer), config)

        check_twin(optimizer, config, make, title, ignore=BOOKKEEPING | {"_learning_rate"})
    except NotPlain as told:
        return str(told)
    except Exception as error:  # a class of the user's own need not be as Keras's are
        return f"{title} cannot be made again: {type(error).__name__}"
    return ""


def _check_slots(optimizer: Any, config: Mapping[str, Any], title: str) -> None:
    """Checks an optimizer that has its slots already: they must be as they are at first.

    Raises:
        NotPlain: They are not.
    """
    twin = made_again(type(optimizer), config)
    twin.build(list(optimizer._trainable_variables))
    check_twin(optimizer, {}, lambda: twin, title, ignore=BOOKKEEPING | {"_learning_rate"}, remember=False)
    for own, fresh in zip(optimizer.variables, twin.variables, strict=True):
        if own is not optimizer._learning_rate and not np.array_equal(np.asarray(own.value), np.asarray(fresh.value)):
            raise NotPlain(f"{title} has slots that were set")


def _readable(rate: float) -> float:
    # Keras holds the rate in float32, where 0.001 reads 0.0010000000474974513.
    return float(f"{rate:.7g}")


def build(optimizer: OptimizerSpec, learning_rate: Any = None) -> Any:
    """A new `keras.optimizers.Optimizer`.

    Args:
        optimizer: The spec.
        learning_rate: A number or a Keras schedule in the place of the spec's learning rate.
    """
    keras = backend.ensure()
    rate = optimizer.learning_rate if learning_rate is None else learning_rate
    live = optimizer.config.get("optimizer")
    if live is not None:
        copy = type(live).from_config(live.get_config())
        if learning_rate is not None or learning_rate_schedule(live) is None:
            copy.learning_rate = rate
        return copy
    return getattr(keras.optimizers, optimizer.class_name)(learning_rate=rate, **optimizer.config)
