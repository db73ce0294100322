"""Out-of-fold predictions: gathered, bounded, saved and read."""

import numpy as np
import pytest

from unitune.errors import RunFolderError
from unitune.store import MemberBlock, gather, load_predictions, write_predictions
from unitune.store.members import only
from unitune.store.predictions import PREDICTIONS, n_bytes, trimmed

ROWS = {(0, 0): np.arange(0, 6), (1, 0): np.arange(6, 10), (0, 1): np.arange(0, 5)}


def block(trials, fold, repeat=0, score=None):
    trials = np.array(trials)
    n, rows = len(trials), len(ROWS[fold, repeat])
    score = np.linspace(0.9, 0.5, n) if score is None else np.array(score)
    nothing = np.zeros((n, 1, 1))
    return MemberBlock(
        trial=trials,
        fold=np.full(n, fold),
        repeat=np.full(n, repeat),
        metrics=("loss",),
        train=nothing,
        validation=nothing,
        learning_rate=nothing[..., 0],
        n_epochs=np.ones(n, dtype=int),
        best_epoch=np.ones(n, dtype=int),
        elapsed_s=np.zeros(n),
        failure=[""] * n,
        engine="fused",
        scores={"validation_accuracy": score},
        predictions=(trials[:, None, None] + np.arange(rows)[None, :, None] / 100).astype(np.float32),
    )


def gathered(blocks, numbers):
    return gather(blocks, numbers, rows=ROWS, task="binary", y=np.arange(10) % 2, weight=np.ones(10))


def test_blocks_in_any_order_become_cells_of_trials():
    found = gathered([block([3, 1], 1), block([2], 0), block([1, 3], 0), block([2], 1)], [1, 2, 3])
    assert [(cell.fold, cell.trials.tolist()) for cell in found.cells] == [(0, [0, 1, 2]), (1, [0, 1, 2])]
    for cell in found.cells:
        np.testing.assert_allclose(cell.predictions[:, 0, 0], [1, 2, 3])


def test_trials_without_all_folds_and_failed_ones_are_left_out():
    found = gathered([block([1, 2, 3], 0), block([1, 2], 1)], [1, 3])
    assert found.numbers.tolist() == [1]


def test_extra_repeats_are_cells_of_fewer_trials():
    found = gathered([block([1, 2], 0), block([1, 2], 1), block([2], 0, repeat=1)], [1, 2])
    assert [cell.trials.tolist() for cell in found.cells] == [[0, 1], [0, 1], [1]]


def test_nothing_kept_is_none():
    assert gathered([], [1]) is None
    assert gathered([only(block([1], 0), [])], [1]) is None


def test_memory_is_bounded_by_letting_the_worst_go():
    trials = list(range(1, 101))
    scores = np.random.default_rng(0).random(100)
    blocks = [block(trials, 0, score=scores), block(trials, 1, score=scores)]
    fewer = trimmed(blocks, "accuracy", "maximize")
    assert n_bytes(fewer) == n_bytes(blocks) // 2
    kept = gathered(fewer, trials)
    best = np.argsort(-scores)[:50] + 1
    assert set(kept.numbers.tolist()) == set(best.tolist())
    again = gathered(trimmed(fewer, "accuracy", "maximize"), trials)
    assert set(again.numbers.tolist()) == set((np.argsort(-scores)[:25] + 1).tolist())
    one = only(fewer[0], [int(best[0])])
    assert one.predictions.shape[0] == 1


def test_a_file_gives_back_what_was_written(tmp_path):
    found = gathered([block([1, 2], 0), block([1, 2], 1)], [1, 2])
    write_predictions(found, [2, 1])(tmp_path / PREDICTIONS)
    loaded = load_predictions(tmp_path)
    assert loaded.task == "binary"
    np.testing.assert_array_equal(loaded.y, found.y)
    np.testing.assert_array_equal(loaded.weight, found.weight)
    assert loaded.groups is None
    for one, other in zip(loaded.cells, found.cells, strict=True):
        np.testing.assert_array_equal(one.predictions, other.predictions)
        np.testing.assert_array_equal(one.rows, other.rows)


def test_a_file_holds_the_best_as_far_as_there_is_room(tmp_path, monkeypatch):
    trials = list(range(1, 41))
    found = gathered([block(trials, 0), block(trials, 1)], trials)
    monkeypatch.setattr("unitune.store.predictions.BYTES_ON_DISK", 10)
    write_predictions(found, trials[::-1])(tmp_path / PREDICTIONS)
    assert load_predictions(tmp_path).numbers.tolist() == trials[-20:]


def test_a_missing_file_is_none_and_a_broken_one_an_error(tmp_path):
    assert load_predictions(tmp_path) is None
    (tmp_path / PREDICTIONS).write_bytes(b"PK nothing")
    with pytest.raises(RunFolderError, match=r"predictions\.npz"):
        load_predictions(tmp_path)
