"""Blocks of members as rows of a store, and back, to the last bit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from unitune.errors import RunFolderError
from unitune.records import Array
from unitune.store.arrays import pack, unpack
from unitune.store.members import MemberBlock

ARRAYS = ("trial", "fold", "repeat", "train", "validation", "learning_rate", "n_epochs", "best_epoch", "elapsed_s")


def chunk_row(block: MemberBlock) -> dict[str, Any]:
    """The row of `chunks` for a block, without its run."""
    arrays = {name: getattr(block, name) for name in ARRAYS}
    arrays |= {f"score/{name}": values for name, values in block.scores.items()}
    arrays |= {f"probe/{name}": values for name, values in block.probes.items()}
    failures = {position: text for position, text in enumerate(block.failure) if text}
    return {
        "engine": block.engine,
        "engine_reason": block.engine_reason,
        "names": json.dumps(
            # Packed arrays do not keep their order, and tables have their columns in that of these.
            {
                "metrics": block.metrics,
                "failures": failures,
                "stopped": block.stopped,
                "scores": [*block.scores],
                "probes": [*block.probes],
            }
        ),
        "arrays": pack(arrays),
    }


def member_rows(block: MemberBlock) -> list[dict[str, Any]]:
    """The rows of `members` for a block, without run and chunk."""
    columns = {name: getattr(block, name).tolist() for name in ("trial", "fold", "repeat", "n_epochs", "best_epoch")}
    columns |= {"elapsed_s": block.elapsed_s.tolist(), "failed": [bool(text) for text in block.failure]}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def prediction_bytes(block: MemberBlock) -> bytes | None:
    """The predictions of a block; None where none are kept."""
    if block.predictions is None:
        return None
    arrays = {"predictions": block.predictions}
    if block.predicted is not None:
        arrays["predicted"] = block.predicted
    return pack(arrays)


def block_of(row: Any, predictions: bytes | None) -> MemberBlock:
    """The block of a row of `chunks`.

    Raises:
        RunFolderError: It is none.
    """
    try:
        names = json.loads(row.names)
        arrays = unpack(row.arrays)
        failures = {int(position): text for position, text in names["failures"].items()}
        n = len(arrays["trial"])
        kept = {} if predictions is None else unpack(predictions)
        return MemberBlock(
            **{name: arrays[name] for name in ARRAYS},
            metrics=tuple(names["metrics"]),
            failure=[failures.get(position, "") for position in range(n)],
            engine=row.engine,
            engine_reason=row.engine_reason,
            # Before there was the word, the reason began with it.
            stopped=names.get("stopped", any(text.startswith("stopped early") for text in failures.values())),
            scores={name: arrays[f"score/{name}"] for name in names["scores"]},
            probes={name: arrays[f"probe/{name}"] for name in names["probes"]},
            predictions=kept.get("predictions"),
            predicted=kept.get("predicted"),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, RunFolderError):
            raise
        raise RunFolderError(
            "A store must hold what Unitune recorded there",
            f"a chunk of members cannot be read ({type(error).__name__})",
            "It was changed; run the search again.",
        ) from error


def block_as_arrays(block: MemberBlock) -> dict[str, Array]:
    """A block as arrays of bytes, to lie among other arrays."""
    row = chunk_row(block)
    content = {"arrays": row.pop("arrays"), "predictions": prediction_bytes(block), "row": json.dumps(row).encode()}
    return {name: np.frombuffer(one, np.uint8) for name, one in content.items() if one is not None}


def block_from_arrays(arrays: Mapping[str, Array]) -> MemberBlock:
    """The block that `block_as_arrays` took apart.

    Raises:
        RunFolderError: It is none.
    """
    content = {name: np.asarray(one, np.uint8).tobytes() for name, one in arrays.items()}
    try:
        row = SimpleNamespace(**json.loads(content["row"]), arrays=content["arrays"])
    except (KeyError, TypeError, ValueError):
        row = None
    return block_of(row, content.get("predictions"))
