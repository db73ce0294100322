"""What every member did, in columns: thousands of members cost no Python object each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from unitune.records import Array

Key = tuple[int, int, int]
"""Who a member is: `(trial, fold, repeat)`."""

PROBE_COLUMNS = ("trial", "fold", "repeat", "epoch", "layer")
HISTORY_COLUMNS = ("trial", "fold", "repeat", "epoch", "metric", "split", "value")


@dataclass(frozen=True, kw_only=True, eq=False)
class MemberBlock:
    """Some members, as an engine gave them back. Arrays lead with the member axis.

    Attributes:
        trial, fold, repeat: `(member,)`.
        metrics: Names of the per-epoch metrics.
        train, validation: `(member, epoch, metric)`.
        learning_rate: `(member, epoch)`.
        n_epochs, best_epoch, elapsed_s: `(member,)`.
        failure: `(member,)` reasons, empty where all went well.
        stopped: Whether they were not trained to their end because others are better; `failure` then says after what.
        engine: Which engine trained them.
        engine_reason: Why not a faster one; empty where there is none.
        scores: From `"train_auc"`, `"validation_auc"`, ... to `(member,)`: each metric at the kept weights.
        probes: From a probe's name to `(member, epoch, layer)`; NaN after a member's last epoch.
        predictions: `(member, row, output)` on the validation rows, in the user's units; None where not kept. All
            members of the block are of one fold and repeat.
        predicted: The trials of `predictions`, where they are fewer than the block's; None where they are its own.
    """

    trial: Array
    fold: Array
    repeat: Array
    metrics: tuple[str, ...]
    train: Array
    validation: Array
    learning_rate: Array
    n_epochs: Array
    best_epoch: Array
    elapsed_s: Array
    failure: Sequence[str]
    engine: str
    scores: Mapping[str, Array]
    probes: Mapping[str, Array] = field(default_factory=dict)
    predictions: Array | None = None
    predicted: Array | None = None
    engine_reason: str = ""
    stopped: bool = False


def history_table(blocks: Sequence[MemberBlock]) -> pd.DataFrame:
    """The histories in long form, ordered by trial, repeat, fold and epoch.

    Returns:
        A row for each member, epoch, metric and split (`"train"` or `"validation"`); epochs count from 1, and
        `"learning_rate"` is a metric of the split `"train"`.
    """
    frames = [_block_history(block) for block in blocks]
    if not frames:
        return pd.DataFrame({name: [] for name in HISTORY_COLUMNS})
    metrics = list(dict.fromkeys(name for frame in frames for name in frame["metric"].cat.categories))
    for frame in frames:  # equal categories, or joining would turn them into text
        frame["metric"] = frame["metric"].cat.set_categories(metrics)
    table = pd.concat(frames, ignore_index=True)
    order = np.lexsort([table[name].to_numpy() for name in ("epoch", "fold", "repeat", "trial")])
    return table.iloc[order].reset_index(drop=True)


def only(block: MemberBlock, trials: Sequence[int]) -> MemberBlock:
    """The members of a block that belong to some trials."""
    return pick(block, np.isin(block.trial, list(trials)))


def pick(block: MemberBlock, chosen: Array) -> MemberBlock:
    """The members of a block for which `(member,)` is true."""
    kept = np.flatnonzero(chosen)
    if len(kept) == len(block.trial):
        return block
    arrays = ("trial", "fold", "repeat", "train", "validation", "learning_rate", "n_epochs", "best_epoch", "elapsed_s")
    predictions, predicted = block.predictions, block.predicted
    if predictions is not None:
        inside = chosen if predicted is None else np.isin(predicted, block.trial[kept])
        predictions, predicted = predictions[inside], None if predicted is None else predicted[inside]
    return replace(
        block,
        predictions=predictions,
        predicted=predicted,
        failure=[block.failure[int(position)] for position in kept],
        scores={name: values[kept] for name, values in block.scores.items()},
        probes={name: values[kept] for name, values in block.probes.items()},
        **{name: getattr(block, name)[kept] for name in arrays},
    )


def keys_of(block: MemberBlock) -> list[Key]:
    """`(trial, fold, repeat)` of each member."""
    return list(zip(block.trial.tolist(), block.fold.tolist(), block.repeat.tolist(), strict=True))


def _block_history(block: MemberBlock) -> pd.DataFrame:
    n_epochs = np.asarray(block.n_epochs)
    width = block.train.shape[1]
    member, epoch = np.nonzero(np.arange(width)[None, :] < n_epochs[:, None])
    metrics = block.metrics
    values = np.concatenate(
        [block.train[member, epoch], block.validation[member, epoch], block.learning_rate[member, epoch][:, None]],
        axis=1,
    )
    names = [*metrics, *metrics, "learning_rate"]
    splits = np.array([0] * len(metrics) + [1] * len(metrics) + [0])
    kinds = list(dict.fromkeys(names))
    columns = len(names)
    codes = np.tile(np.array([kinds.index(name) for name in names]), len(member))
    return pd.DataFrame(
        {
            "trial": np.repeat(np.asarray(block.trial)[member], columns),
            "fold": np.repeat(np.asarray(block.fold)[member], columns),
            "repeat": np.repeat(np.asarray(block.repeat)[member], columns),
            "epoch": np.repeat(epoch + 1, columns),
            "metric": pd.Categorical.from_codes(codes, kinds),
            "split": pd.Categorical.from_codes(np.tile(splits, len(member)), ["train", "validation"]),
            "value": values.astype(np.float64).ravel(),
        },
        columns=list(HISTORY_COLUMNS),
    )


def probe_table(blocks: Sequence[MemberBlock]) -> pd.DataFrame:
    """What was measured inside the networks, ordered by trial, repeat, fold, epoch and layer.

    Returns:
        A row for each member, epoch and layer, both counted from 1, and a column of float32 for each probe; NaN where
        a layer does not have it.
    """
    frames = [_block_probes(block) for block in blocks if block.probes]
    if not frames:
        return pd.DataFrame({name: np.array([], dtype=np.int64) for name in PROBE_COLUMNS})
    table = pd.concat(frames, ignore_index=True)
    order = np.lexsort([table[name].to_numpy() for name in ("layer", "epoch", "fold", "repeat", "trial")])
    return table.iloc[order].reset_index(drop=True)


def _block_probes(block: MemberBlock) -> pd.DataFrame:
    layers = max((values.shape[2] for values in block.probes.values()), default=0)
    member, epoch = np.nonzero(np.arange(block.train.shape[1])[None, :] < np.asarray(block.n_epochs)[:, None])
    columns = {
        "trial": np.repeat(np.asarray(block.trial)[member], layers),
        "fold": np.repeat(np.asarray(block.fold)[member], layers),
        "repeat": np.repeat(np.asarray(block.repeat)[member], layers),
        "epoch": np.repeat(epoch + 1, layers),
        "layer": np.tile(np.arange(1, layers + 1), len(member)),
    }
    for name, values in block.probes.items():
        padded = np.full((len(member), layers), np.nan, dtype=np.float32)
        padded[:, : values.shape[2]] = values[member, epoch]
        columns[name] = padded.ravel()
    return pd.DataFrame(columns)


def member_table(blocks: Sequence[MemberBlock]) -> pd.DataFrame:
    """A row for each member: how long it trained, its kept epoch, its scores, and why it failed if it did."""
    frames = [
        pd.DataFrame(
            {
                "trial": block.trial,
                "fold": block.fold,
                "repeat": block.repeat,
                "n_epochs": block.n_epochs,
                "best_epoch": block.best_epoch,
                "elapsed_s": block.elapsed_s,
                "engine": block.engine,
                "failure": pd.array(list(block.failure), dtype="str"),
                **block.scores,
            }
        )
        for block in blocks
    ]
    if not frames:
        return pd.DataFrame({"trial": [], "fold": [], "repeat": [], "best_epoch": []})
    table = pd.concat(frames, ignore_index=True)
    return table.sort_values(["trial", "repeat", "fold"], kind="stable", ignore_index=True)
