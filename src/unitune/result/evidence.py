"""A run as the arrays that `diagnosis` judges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from unitune.diagnosis import Evidence
from unitune.records import Array, Trial
from unitune.result.certainty import Certainty
from unitune.result.references import Reference
from unitune.store import Run

_MEMBER = ["trial", "repeat", "fold"]


def evidence_of(
    run: Run,
    trials: Sequence[Trial],
    members: pd.DataFrame,
    histories: pd.DataFrame,
    probes: pd.DataFrame,
    certainty: Certainty | None,
    references: Sequence[Reference] = (),
) -> Evidence:
    """The evidence in a run's tables.

    Args:
        run: The run.
        trials: Its trials.
        members, histories, probes: As `member_table`, `history_table` and `probe_table`.
        certainty: What is known of the complete trials; None where there is none.
        references: Simpler models.
    """
    # A trial that was stopped has not shown what it can do.
    trials = [trial for trial in trials if trial.state != "stopped"]
    kept = [trial.number for trial in trials]
    members, histories, probes = (
        table[table["trial"].isin(kept)].reset_index(drop=True) for table in (members, histories, probes)
    )
    place = {trial.number: position for position, trial in enumerate(trials)}
    index = pd.MultiIndex.from_frame(members[_MEMBER])
    n_epochs = members["n_epochs"].to_numpy(dtype=int)
    longest = int(n_epochs.max(initial=0))
    data = run.data
    recalls = [name for name in members.columns if name.startswith("recall_")]
    labels = data.get("classes") or ()
    return Evidence(
        space=run.space,
        task=run.task,
        objective=run.objective,
        direction=run.direction,
        trials=tuple(trials),
        trial=members["trial"].map(place).to_numpy(dtype=int),
        n_epochs=n_epochs,
        best_epoch=members["best_epoch"].to_numpy(dtype=int),
        **_histories(histories, index, longest),
        probes=_probes(probes, index, longest),
        recall=members[recalls].to_numpy(dtype=np.float64) if recalls else None,
        class_labels=tuple(str(label) for label in labels),
        class_counts=tuple(data.get("class_counts") or ()),
        baseline_loss=_number(data.get("baseline_loss")),
        n_rows=int(data["n_rows"]),
        validation_ratio=float(run.folds["validation_ratio"]),
        repeats=int(run.folds["repeats"]),
        **({} if certainty is None else _certain(certainty, place)),
        references={one.kind: one.values[run.objective] for one in references if run.objective in one.values},
        call=run.call or None,
        best_feature=str(data.get("best_feature") or ""),
        best_feature_score=_number(data.get("best_feature_score")),
    )


def _certain(certainty: Certainty, place: dict[int, int]) -> dict[str, Any]:
    """What the model of all scores says, as numbers; `place` is where each trial stands."""
    chosen: dict[str, Any] = {"recommended": certainty.recommended.number}
    if not certainty.is_known:
        return chosen
    complete = [trial.number for trial in certainty.complete]
    given = certainty.posterior.draws[:, : len(complete)]
    draws = np.full((len(given), len(place)), np.nan)
    draws[:, [place[number] for number in complete]] = given
    several = len(certainty.modelled) > 1
    worth = certainty.to_settle if several and not certainty.is_settled else None
    return {
        **chosen,
        "draws": draws,
        "tolerance": certainty.margin,
        "credible": tuple(number for number in certainty.credible if number in place),
        "is_settled": certainty.is_settled,
        "to_settle": None if worth is None else (len(worth.trials), worth.repeats),
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _histories(histories: pd.DataFrame, index: pd.MultiIndex, longest: int) -> dict[str, Any]:
    wanted = {"train": ("loss", "train"), "validation": ("loss", "validation")}
    wanted["learning_rate"] = ("learning_rate", "train")
    found = {}
    for name, (metric, split) in wanted.items():
        rows = histories[(histories["metric"] == metric) & (histories["split"] == split)]
        values = np.full((len(index), longest), np.nan)
        values[_places(rows, index), rows["epoch"].to_numpy(dtype=int) - 1] = rows["value"].to_numpy()
        found[name] = values
    return found


def _probes(probes: pd.DataFrame, index: pd.MultiIndex, longest: int) -> dict[str, Array]:
    if probes.empty:
        return {}
    place, epoch = _places(probes, index), probes["epoch"].to_numpy(dtype=int) - 1
    layer = probes["layer"].to_numpy(dtype=int) - 1
    found = {}
    for name in probes.columns.drop([*_MEMBER, "epoch", "layer"]):
        values = np.full((len(index), longest, int(layer.max()) + 1), np.nan, dtype=np.float32)
        values[place, epoch, layer] = probes[name].to_numpy()
        found[str(name)] = values
    return found


def _places(rows: pd.DataFrame, index: pd.MultiIndex) -> Array:
    """The position of each row's member: members are found once, not once for each epoch."""
    keys = rows[_MEMBER].to_numpy(dtype=np.int64)
    if not len(keys):
        return np.zeros(0, dtype=int)
    changes = np.flatnonzero(np.r_[True, (np.diff(keys, axis=0) != 0).any(axis=1)])
    known = index.get_indexer(pd.MultiIndex.from_arrays(keys[changes].T))
    return np.repeat(known, np.diff(np.r_[changes, len(keys)]))
