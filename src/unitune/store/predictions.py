"""Out-of-fold predictions: gathered from blocks of members, kept within bounds, saved without pickle."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unitune.errors import RunFolderError
from unitune.records import Array, Direction, Task, sign_of
from unitune.stats import Cell, OutOfFold
from unitune.store.members import MemberBlock

PREDICTIONS = "predictions.npz"
BYTES_IN_MEMORY = 512 * 2**20
BYTES_ON_DISK = 64 * 2**20
LEAST_TRIALS = 20


def trimmed(blocks: Sequence[MemberBlock], metric: str, direction: Direction) -> list[MemberBlock]:
    """The blocks without the predictions of the worse half of the trials: these have no part in the choice.

    Args:
        blocks: All blocks so far.
        metric, direction: What ranks the trials.
    """
    trial = np.concatenate([block.trial for block in blocks])
    score = np.concatenate([block.scores[f"validation_{metric}"] for block in blocks])
    held = [block.trial if block.predicted is None else block.predicted for block in blocks if _has(block)]
    kept = np.unique(np.concatenate(held)) if held else np.array([], dtype=int)
    sign = -sign_of(direction)
    means = np.array([score[trial == number].mean() for number in kept])
    order = np.argsort(np.where(np.isnan(means), np.inf, sign * means), kind="stable")
    best = kept[order[: max(LEAST_TRIALS, len(kept) // 2)]]
    result = []
    for block in blocks:
        if block.predictions is not None:
            wanted = np.isin(block.trial, best)
            if not wanted.any():
                block = replace(block, predictions=None, predicted=None)
            elif not wanted.all():
                members = block.trial if block.predicted is None else block.predicted
                inside = np.isin(members, best)
                kept_here = np.asarray(block.predictions)[inside]
                block = replace(block, predictions=kept_here, predicted=members[inside])
        result.append(block)
    return result


def _has(block: MemberBlock) -> bool:
    return block.predictions is not None


def n_bytes(blocks: Sequence[MemberBlock]) -> int:
    """What the predictions of the blocks take in memory."""
    return sum(0 if block.predictions is None else block.predictions.nbytes for block in blocks)


def gather(
    blocks: Sequence[MemberBlock],
    numbers: Sequence[int],
    *,
    rows: Mapping[tuple[int, int], Array],
    task: Task,
    y: Array,
    weight: Array | None = None,
    groups: Array | None = None,
) -> OutOfFold | None:
    """The out-of-fold predictions of some trials.

    Args:
        blocks: The members.
        numbers: The trials that count; those whose predictions were not kept are left out.
        rows: For each `(fold, repeat)` the validation rows.
        task, y, weight, groups: Of all rows, as in `OutOfFold`.

    Returns:
        The predictions; None where none were kept.
    """
    parts: dict[tuple[int, int], list[tuple[Array, Array]]] = {}
    for block in blocks:
        if block.predictions is None or not len(block.trial):
            continue
        members = block.trial if block.predicted is None else block.predicted
        place = int(block.fold[0]), int(block.repeat[0])
        parts.setdefault(place, []).append((members, block.predictions))
    found = {place: np.concatenate([members for members, _ in pieces]) for place, pieces in parts.items()}
    everywhere = set(numbers)
    for place in found:
        if place[1] == 0:
            everywhere &= set(found[place].tolist())
    kept = [number for number in numbers if number in everywhere]
    if not kept or not parts:
        return None
    index = np.full(max(kept) + 1, -1, dtype=np.int64)
    index[kept] = np.arange(len(kept))
    cells = []
    for fold, repeat in sorted(parts, key=lambda place: (place[1], place[0])):
        members = found[fold, repeat]
        position = np.where(members < len(index), index[np.minimum(members, len(index) - 1)], -1)
        order = np.argsort(position, kind="stable")
        order = order[position[order] >= 0]
        if not len(order):
            continue
        predictions = np.concatenate([values for _, values in parts[fold, repeat]])
        cells.append(
            Cell(
                fold=fold,
                repeat=repeat,
                rows=rows[fold, repeat],
                trials=position[order],
                predictions=predictions[order],
            )
        )
    return OutOfFold(
        task=task, y=y, numbers=np.array(kept, dtype=np.int64), cells=tuple(cells), weight=weight, groups=groups
    )


def write_predictions(predictions: OutOfFold, best_first: Sequence[int]) -> Any:
    """A writer of predictions as `predictions.npz`, which needs no pickle.

    Args:
        predictions: What to write.
        best_first: The trials' numbers from best to worst: as many are written as 64 MiB hold, but at least 20.
    """
    each = sum(cell.predictions.nbytes for cell in predictions.cells) / max(1, predictions.n_trials)
    room = max(LEAST_TRIALS, int(BYTES_ON_DISK / max(each, 1)))
    present = set(predictions.numbers.tolist())
    kept = sorted([number for number in best_first if number in present][:room])
    small = predictions if len(kept) == predictions.n_trials else predictions.only(kept)
    arrays: dict[str, Array] = {
        "task": np.array(small.task),
        "y": small.y,
        "numbers": small.numbers,
        "places": np.array([(cell.fold, cell.repeat) for cell in small.cells]),
    }
    if small.weight is not None:
        arrays["weight"] = small.weight
    if small.groups is not None:
        arrays["groups"] = small.groups
    for position, cell in enumerate(small.cells):
        arrays[f"rows_{position}"] = cell.rows
        arrays[f"trials_{position}"] = cell.trials
        arrays[f"predictions_{position}"] = cell.predictions

    def write(path: Path) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        path.write_bytes(buffer.getvalue())

    return write


def load_predictions(folder: Path) -> OutOfFold | None:
    """The predictions of a run folder; None where they were not kept.

    Raises:
        RunFolderError: The file cannot be read.
    """
    path = folder / PREDICTIONS
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        cells = tuple(
            Cell(
                fold=int(fold),
                repeat=int(repeat),
                rows=arrays[f"rows_{position}"],
                trials=arrays[f"trials_{position}"],
                predictions=arrays[f"predictions_{position}"],
            )
            for position, (fold, repeat) in enumerate(arrays["places"])
        )
        return OutOfFold(
            task=str(arrays["task"]),  # type: ignore[arg-type]
            y=arrays["y"],
            numbers=arrays["numbers"],
            cells=cells,
            weight=arrays.get("weight"),
            groups=arrays.get("groups"),
        )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RunFolderError(
            "A run folder must hold what Unitune saved there",
            f"`{path}` cannot be read ({type(error).__name__})",
            "It was changed, or saving was cut short; run the search again.",
        ) from error
