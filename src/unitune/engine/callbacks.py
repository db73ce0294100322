"""EarlyStopping and ReduceLROnPlateau as `keras.callbacks` has them, for each member, inside a program.

Their numbers are arrays that a program is given.
All vectors are `(member,)`; `epoch` counts from 0. In the pass that only evaluates (`final`), nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unitune.engine.lift.base import Tensor
from unitune.engine.lift.optimizer import shaped
from unitune.engine.program_key import State
from unitune.models.blueprint import EarlyStopping, Plateau, Training

_NOTHING = EarlyStopping(patience=np.iinfo(np.int32).max, restore_best_weights=False)


def stopping_numbers(trainings: Sequence[Training], metrics: Sequence[str], dtype: str) -> State:
    """What `early_stopping` reads of `hyper`, but for the members' numbers of epochs.

    Args:
        trainings: Of each member; all have as many further stoppings.
        metrics: The columns of a history; those of the validation rows come after those of the training rows.
        dtype: Of the numbers.

    Raises:
        ValueError: A metric that is watched is none of these.
    """
    early = [training.early_stopping or _NOTHING for training in trainings]
    hyper = _stopping(early, metrics, dtype)
    hyper |= {
        "keep_start": np.array([0 if e.keep else e.start_from_epoch for e in early], "int32"),
        "restores": np.array([bool(e.restore_best_weights or e.keep) for e in early]),
        "keep_delta": np.where([bool(e.keep) for e in early], 0.0, hyper["min_delta"]).astype(dtype),
    }
    hyper |= _watched("keep", [e.keep or (e.monitor, e.maximize) for e in early], metrics, dtype)
    further = [
        _stopping(each, metrics, dtype) for each in zip(*(one.further_stopping for one in trainings), strict=True)
    ]
    for name in further[0] if further else ():
        hyper[f"further_{name}"] = np.stack([one[name] for one in further], axis=1)
    return hyper


def _stopping(early: Sequence[EarlyStopping], metrics: Sequence[str], dtype: str) -> State:
    hyper: State = {
        "patience": np.array([e.patience for e in early], "int32"),
        "min_delta": np.array([abs(e.min_delta) for e in early], dtype),
        "baseline": np.array([_signed(e.baseline, e.maximize) for e in early], dtype),
        "start": np.array([e.start_from_epoch for e in early], "int32"),
    }
    return hyper | _watched("monitor", [(e.monitor, e.maximize) for e in early], metrics, dtype)


def _signed(baseline: float | None, maximize: bool) -> float:
    """A baseline so that less is better; where there is none, everything is better."""
    return np.inf if baseline is None else -baseline if maximize else baseline


def plateau_numbers(
    plateau: Sequence[Plateau | None], rates: Sequence[float], metrics: Sequence[str], dtype: str
) -> State:
    """What `reduce_on_plateau` reads of `hyper`.

    Args:
        plateau: Of each member; all have one.
        rates: The members' learning rates.
        metrics: As for `stopping_numbers`.
        dtype: Of the numbers.

    Raises:
        ValueError: A metric that is watched is none of these.
    """
    given = [one for one in plateau if one]
    return _watched("plateau_monitor", [(one.monitor, one.maximize) for one in given], metrics, dtype) | {
        "plateau_factor": np.array([one.factor for one in given], dtype),
        "plateau_min_delta": np.array([abs(one.min_delta) for one in given], dtype),
        "plateau_min": np.array([one.min_lr for one in given], dtype),
        "plateau_rate": np.array(rates, dtype),
        "plateau_patience": np.array([one.patience for one in given], "int32"),
        "plateau_cooldown": np.array([one.cooldown for one in given], "int32"),
    }


def _watched(name: str, pairs: Sequence[tuple[str, bool]], metrics: Sequence[str], dtype: str) -> State:
    """What `_value` reads: the columns of the metrics in a history, and the signs that make less of them better."""

    def column(metric: str) -> int:
        plain = metric.removeprefix("val_")
        return metrics.index(plain) + (len(metrics) if plain != metric else 0)

    return {
        name: np.array([column(metric) for metric, _ in pairs], "int32"),
        f"{name}_sign": np.array([-1.0 if more else 1.0 for _, more in pairs], dtype),
    }


def _value(name: str, hyper: State, train: Tensor, validation: Tensor) -> Tensor:
    """The metric that each member watches, `(member,)`, or several, so that less of it is better."""
    from keras import ops

    logged, places = ops.concatenate([train, validation], axis=-1), hyper[name]
    several = len(places.shape) > 1
    chosen = ops.take_along_axis(logged, places if several else ops.expand_dims(places, -1), axis=-1)
    return (chosen if several else chosen[:, 0]) * hyper[f"{name}_sign"]


def kept_at_the_end(
    weights: Sequence[Tensor], averages: Sequence[Tensor] | None, trainable: Sequence[int], restores: Tensor
) -> list[Tensor]:
    """The weights that `fit` would leave if it ended now.

    An optimizer with a moving average puts it in the weights' place; restoring the best ones comes after that, and
    they were taken as they stood.
    """
    from keras import ops

    kept = list(weights)
    if averages is not None:
        for index, average in zip(trainable, averages, strict=True):
            kept[index] = ops.where(shaped(restores, average), weights[index], average)
    return kept


def early_stopping(
    carry: State,
    hyper: State,
    epoch: Tensor,
    train: Tensor,
    validation: Tensor,
    candidates: Sequence[Tensor],
    final: Tensor,
) -> State:
    """What `EarlyStopping` changes after an epoch; `train` and `validation` are `(member, metric)`, the loss first.

    A member also ends at its own number of epochs, and when its training loss is no number."""
    from keras import ops

    train_loss = train[:, 0]
    kept_value = _value("keep", hyper, train, validation)
    active = ops.logical_and(carry["active"], ops.logical_not(final))
    looks_to_keep = epoch >= hyper["keep_start"]
    seen, impatient = _patience("", carry, hyper, epoch, train, validation, active)
    if "further_wait" in carry:
        also, stops = _patience("further_", carry, hyper, epoch, train, validation, active[:, None])
        seen, impatient = seen | also, ops.logical_or(impatient, ops.any(stops, axis=1))
    better = ops.logical_or(
        kept_value + hyper["keep_delta"] < carry["best_kept"], ops.equal(epoch, hyper["keep_start"])
    )
    better = ops.logical_and(better, looks_to_keep)
    # Before it looks, and where it restores nothing, the last weights are those that stay.
    last = ops.logical_not(ops.logical_and(hyper["restores"], looks_to_keep))
    keep = ops.logical_and(active, ops.logical_or(better, last))
    going = ops.logical_and(ops.logical_not(impatient), epoch + 1 < hyper["epochs"])
    going = ops.logical_and(going, ops.logical_not(ops.isnan(train_loss)))
    return seen | {
        "kept": [ops.where(shaped(keep, w), w, kept) for w, kept in zip(candidates, carry["kept"], strict=True)],
        "best_kept": ops.where(ops.logical_and(active, better), kept_value, carry["best_kept"]),
        "best_epoch": ops.where(keep, epoch + 1, carry["best_epoch"]),
        "n_epochs": carry["n_epochs"] + ops.cast(active, "int32"),
        "active": ops.where(final, carry["active"], ops.logical_and(active, going)),
    }


def _patience(
    prefix: str, carry: State, hyper: State, epoch: Tensor, train: Tensor, validation: Tensor, active: Tensor
) -> tuple[State, Tensor]:
    """What stoppings remember after an epoch, and whether they stop; one for each member, or several."""
    from keras import ops

    patience, min_delta, baseline, start = (
        hyper[prefix + name] for name in ("patience", "min_delta", "baseline", "start")
    )
    best, wait = carry[f"{prefix}best"], carry[f"{prefix}wait"]
    value = _value(f"{prefix}monitor", hyper, train, validation)
    looks = epoch >= start
    # The first epoch always improves, whatever it gave: Keras has nothing to compare it with.
    improved = ops.logical_or(value + min_delta < best, ops.equal(epoch, start))
    beats = ops.logical_or(value + min_delta < baseline, ops.equal(baseline, np.inf))
    waited = ops.where(ops.logical_and(improved, beats), 0, wait + ops.cast(looks, "int32"))
    impatient = ops.logical_and(ops.logical_not(improved), waited >= patience)
    improved = ops.logical_and(improved, looks)
    remembered = {
        f"{prefix}best": ops.where(ops.logical_and(active, improved), value, best),
        f"{prefix}wait": ops.where(active, waited, wait),
    }
    return remembered, ops.logical_and(impatient, looks)


def reduce_on_plateau(
    carry: State, hyper: State, epoch: Tensor, train: Tensor, validation: Tensor, final: Tensor
) -> State:
    """What `ReduceLROnPlateau` changes after an epoch; `rate_factor` multiplies the learning rate."""
    from keras import ops

    value = _value("plateau_monitor", hyper, train, validation)
    cooldown = carry["plateau_cooldown"]
    cooling = cooldown > 0
    cooldown = ops.where(cooling, cooldown - 1, cooldown)
    wait = ops.where(cooling, 0, carry["plateau_wait"])
    improved = ops.logical_or(value + hyper["plateau_min_delta"] < carry["plateau_best"], ops.equal(epoch, 0))
    waits = ops.logical_and(ops.logical_not(improved), cooldown <= 0)
    wait = ops.where(improved, 0, ops.where(waits, wait + 1, wait))
    rate = hyper["plateau_rate"] * carry["rate_factor"]
    patient = wait < hyper["plateau_patience"]
    reduces = ops.logical_and(ops.logical_and(waits, ops.logical_not(patient)), rate > hyper["plateau_min"])
    lower = ops.maximum(rate * hyper["plateau_factor"], hyper["plateau_min"]) / hyper["plateau_rate"]
    new = {
        "plateau_cooldown": ops.where(reduces, hyper["plateau_cooldown"], cooldown),
        "plateau_wait": ops.where(reduces, 0, wait),
        "plateau_best": ops.where(improved, value, carry["plateau_best"]),
        "rate_factor": ops.where(reduces, lower, carry["rate_factor"]),
    }
    return {name: ops.where(final, carry[name], value) for name, value in new.items()}
