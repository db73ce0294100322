"""Trains the same members on one and on two virtual CPU devices: `places_worker.py BACKEND` prints what differs."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np


def main(backend: str) -> None:
    from unitune.models.backend import ensure

    ensure()
    if backend == "tensorflow":
        import tensorflow as tf

        one = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [one, one])
    import parity_cases as cases

    from unitune.engine import run as run_module
    from unitune.engine.contract import Job
    from unitune.engine.device import Device, here
    from unitune.engine.fused import FusedEngine
    from unitune.models.blueprint import OptimizerSpec, Training
    from unitune.records import Member

    training = Training(
        optimizer=OptimizerSpec(class_name="Adam", learning_rate=0.01), loss="binary_crossentropy", epochs=2
    )
    jobs = [
        Job(
            member=Member(trial=i, fold=0, repeat=0, seed=3),
            split=0,
            blueprint=cases.chain(cases.dense(2 + i, "tanh"), cases.dense(1, "sigmoid")),
            training=training,
        )
        for i in range(12)
    ]
    split = cases.make_split(0, 0, 40, 12)
    used: set[str] = set()
    train = run_module.TileRun._train

    def spied(run: Any, work: Any) -> None:
        used.add(here())
        train(run, work)

    run_module.TileRun._train = spied  # type: ignore[method-assign]

    def losses(places: tuple[str, ...]) -> dict[int, Any]:
        engine = FusedEngine(device=Device(threads=2, tile_bytes=2**20, max_tile=2, places=places))
        return {
            job.member.trial: outcome.train[i]
            for outcome in engine.train(jobs, [split])
            for i, job in enumerate(outcome.jobs)
        }

    alone = losses(())
    used.clear()
    spread = losses(("cpu:0", "cpu:1"))
    difference = max(float(np.abs(alone[trial] - spread[trial]).max()) for trial in alone)
    print(json.dumps({"used": sorted(used), "largest_difference": difference, "members": len(spread)}))


if __name__ == "__main__":
    main(sys.argv[1])
