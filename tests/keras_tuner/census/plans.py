"""What each function of the census would be trained with: `python -m ... BACKEND`, as JSON of name: [engine, reason].

Models are built and read, and held against what programs can do; nothing is trained.
"""

import json
import os
import sys
import tempfile
import warnings


def settings_of(case, folder):
    """The tuner of a case, and the arguments of `search`."""
    from unitune import keras_tuner

    kind = getattr(keras_tuner, case.tuner) if isinstance(case.tuner, str) else case.tuner()
    code = getattr(case.build, "__code__", None)
    build = case.build if code is not None and code.co_argcount else case.build()
    trials = {} if case.tuner == "Hyperband" else {"max_trials": 3}
    given = {"objective": "val_loss", "seed": 0, "directory": folder, "progress": False, **trials, **case.settings}
    x, *more = case.rows()
    fit = {"epochs": 2, "verbose": 0, **case.fit()}
    if not {"validation_data", "validation_split"} & fit.keys():
        fit["validation_split"] = 0.25
    return kind(build, **given), (x, *more), fit


def planned(case, trials=2):
    """The engine that a case's trials would have, and why it is not a better one."""
    from unitune.adoption.fit_rows import Rows
    from unitune.keras_tuner.engine.population import Population, why_one_by_one

    with tempfile.TemporaryDirectory() as folder:
        tuner, args, fit = settings_of(case, folder)
        reason = why_one_by_one(tuner)
        if reason:
            return ["solo", reason]
        population, rows = Population(tuner, args, fit), Rows()
        reasons = []
        population._solo = lambda begun: reasons.append(["solo", begun.reason])
        population._fail = lambda trial, error: reasons.append(["failed", f"{type(error).__name__}: {error}"])
        for number in range(trials):
            trial = tuner.oracle.create_trial(f"tuner{number}")
            if trial.status != "RUNNING":
                break
            begun = population._prepare(trial, rows, keep=False)
            if begun is not None:
                reasons.append(_engine(begun, rows))
                begun.abandon()
    return max(reasons, key=lambda found: ("fused", "vmapped", "solo", "failed").index(found[0]))


def _engine(begun, rows):
    from unitune.engine.fused import read_jobs
    from unitune.keras_tuner.engine.trial_reader import job_of

    _, _, refused = read_jobs([job_of(run) for run in begun.runs if run.call is not None], rows.splits)
    return ["vmapped", refused[0][1]] if refused else ["fused", ""]


def main(backend, *names):
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    from . import cases

    print(json.dumps({name: planned(case) for name, case in cases().items() if not names or name in names}))


if __name__ == "__main__":
    main(*sys.argv[1:])
