"""What recording costs: `python bench/store.py [TRIALS]`, in ms a trial, of SQLite; the aim is 0.3 at 10,000 trials.

Members come from memory, as 5 folds in tiles of 32 with histories of 10 epochs, probes of 3 layers and the predictions
of 114 rows: about what `unitune demo` has. Only the store's own time counts.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from unitune.records import Score, Trial
from unitune.store import MemberBlock
from unitune.store.database import open_folder
from unitune.store.unfinished import read_run
from unitune.store.writer import Writer

FOLDS, TILE, EPOCHS, ROWS, LAYERS = 5, 32, 10, 114, 3
METRICS = ("accuracy", "auc", "balanced_accuracy", "f1", "log_loss", "loss")
PROBES = ("dead_units", "saturated", "mean_activation", "gradient_norm", "weight_norm", "update_ratio")


def block_of(trials: np.ndarray, fold: int, rng: np.random.Generator) -> MemberBlock:
    n = len(trials)
    whole = np.full(n, EPOCHS)
    return MemberBlock(
        trial=trials,
        fold=np.full(n, fold),
        repeat=np.zeros(n, dtype=int),
        metrics=("loss", "accuracy"),
        train=rng.random((n, EPOCHS, 2), dtype=np.float32),
        validation=rng.random((n, EPOCHS, 2), dtype=np.float32),
        learning_rate=np.full((n, EPOCHS), 1e-3, dtype=np.float32),
        n_epochs=whole,
        best_epoch=whole,
        elapsed_s=rng.random(n),
        failure=[""] * n,
        engine="fused",
        scores={f"{split}_{metric}": rng.random(n) for split in ("train", "validation") for metric in METRICS},
        probes={name: rng.random((n, EPOCHS, LAYERS), dtype=np.float32) for name in PROBES},
        predictions=rng.random((n, ROWS, 1), dtype=np.float32),
    )


def trial_of(number: int) -> Trial:
    scores = {
        metric: Score(metric=metric, mean=0.9, std=0.1, low=0.8, high=1.0, train=0.9, values=(0.9,) * FOLDS)
        for metric in METRICS
    }
    return Trial(number=number, configuration={}, state="complete", scores=scores, elapsed_s=1.0, engine="fused")


def main() -> None:
    n_trials = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rng = np.random.default_rng(0)
    tiles = [
        (np.arange(start, min(start + TILE, n_trials + 1)), fold)
        for start in range(1, n_trials + 1, TILE)
        for fold in range(FOLDS)
    ]
    chunks = [
        (block_of(trials, fold, rng), [trial_of(int(number)) for number in trials] if fold == FOLDS - 1 else [])
        for trials, fold in tiles
    ]
    rows = [
        {"configuration": {"units": number, "activation": "relu", "lr": 0.1}, "n_parameters": 100, "logits": False}
        for number in range(n_trials)
    ]
    with tempfile.TemporaryDirectory() as folder:
        database = open_folder(Path(folder))
        store = database.create("bench", identity={}, record=_record())
        assert store is not None
        started, cpu = time.perf_counter(), time.process_time()
        store.begin(1, rows)
        begun_s = time.perf_counter() - started
        writer = Writer(store)
        slowest = 0.0
        for block, finished in chunks:
            before = time.perf_counter()
            writer.add(block, finished)
            slowest = max(slowest, time.perf_counter() - before)
        writer.flush()
        total = time.perf_counter() - started
        cpu = time.process_time() - cpu
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        started = time.perf_counter()
        read_run(store)
        read_s = time.perf_counter() - started
        database.close()
    each = f"{1000 * total / n_trials:.3f} ms a trial ({1000 * cpu / n_trials:.3f} of processor time)"
    print(f"{n_trials:,} trials, {n_trials * FOLDS:,} members, {len(chunks):,} chunks, {size / 2**20:.0f} MiB")
    print(f"recorded in {total:.2f} s: {each}, of which {1000 * begun_s / n_trials:.3f} ms to begin it")
    print(f"slowest chunk {1000 * slowest:.0f} ms; read again in {read_s:.2f} s")


def _record() -> dict[str, object]:
    from unitune.space import Choice, Hyperparameter, Space
    from unitune.store import Run

    return Run(
        objective="accuracy",
        direction="maximize",
        metrics=METRICS,
        task="binary",
        space=Space([Hyperparameter("units", Choice((1, 2)))]),
        strategy="random",
        engine="fused",
        seed=0,
        folds={},
        data={},
    ).to_json()


if __name__ == "__main__":
    main()
