from dataclasses import replace

import numpy as np
import pandas as pd

from unitune.store import MemberBlock, history_table, member_table, probe_table
from unitune.store.members import only


def block(trials, *, n_epochs, metrics=("loss", "accuracy"), width=4, engine="fused"):
    m = len(trials)
    shape = (m, width, len(metrics))
    return MemberBlock(
        trial=np.array(trials),
        fold=np.arange(m) % 2,
        repeat=np.zeros(m, dtype=int),
        metrics=metrics,
        train=np.arange(np.prod(shape), dtype=float).reshape(shape),
        validation=-np.arange(np.prod(shape), dtype=float).reshape(shape),
        learning_rate=np.full((m, width), 0.1),
        n_epochs=np.array(n_epochs),
        best_epoch=np.array(n_epochs),
        elapsed_s=np.ones(m),
        failure=[""] * m,
        engine=engine,
        scores={"train_accuracy": np.ones(m), "validation_accuracy": np.zeros(m)},
    )


def test_a_history_has_a_row_for_each_epoch_metric_and_split():
    table = history_table([block([1, 1], n_epochs=[4, 2])])
    assert len(table) == (4 + 2) * (2 * 2 + 1)
    one = table.query("fold == 1 and epoch == 2 and metric == 'accuracy'").set_index("split")["value"]
    assert one.to_dict() == {"train": 11.0, "validation": -11.0}


def test_epochs_that_were_not_trained_leave_no_rows():
    table = history_table([block([1, 2], n_epochs=[1, 3])])
    assert table.groupby("trial")["epoch"].max().to_dict() == {1: 1, 2: 3}


def test_blocks_of_other_metrics_and_lengths_go_together_in_order():
    table = history_table([block([2], n_epochs=[2], width=2, metrics=("loss", "mae")), block([1], n_epochs=[4])])
    assert table["trial"].tolist() == sorted(table["trial"])
    assert isinstance(table["metric"].dtype, pd.CategoricalDtype)
    assert set(table["metric"]) == {"loss", "mae", "accuracy", "learning_rate"}


def test_no_blocks_give_an_empty_table():
    assert history_table([]).empty
    assert member_table([]).empty


def test_members_are_ordered_by_trial_repeat_and_fold():
    table = member_table([block([2, 2], n_epochs=[1, 1]), block([1, 1], n_epochs=[1, 1], engine="solo")])
    assert table["trial"].tolist() == [1, 1, 2, 2]
    assert table["fold"].tolist() == [0, 1, 0, 1]
    assert table["engine"].tolist() == ["solo", "solo", "fused", "fused"]


def test_members_of_unfinished_trials_can_be_left_out():
    whole = block([1, 2, 1], n_epochs=[4, 3, 2])
    part = only(whole, [1])
    assert part.trial.tolist() == [1, 1]
    assert part.n_epochs.tolist() == [4, 2]
    assert part.scores["train_accuracy"].shape == (2,)
    assert only(whole, [1, 2]) is whole


def probed(trials, *, n_epochs, layers):
    shape = (len(trials), 4, layers)
    measured = {
        "dead_units": np.arange(np.prod(shape), dtype=np.float32).reshape(shape)[:, :, : layers - 1],
        "gradient_norm": np.ones(shape, dtype=np.float32),
    }
    return replace(block(trials, n_epochs=n_epochs), probes=measured)


def test_probes_have_a_row_for_each_epoch_and_layer():
    table = probe_table([probed([2, 2], n_epochs=[4, 1], layers=3), probed([1], n_epochs=[2], layers=2)])
    assert len(table) == (4 + 1) * 3 + 2 * 2
    assert table["trial"].tolist() == sorted(table["trial"])
    assert table.query("layer == 3")["dead_units"].isna().all()
    assert table.query("trial == 2 and fold == 0 and epoch == 2 and layer == 2")["dead_units"].tolist() == [4.0]
    assert table["gradient_norm"].dtype == np.float32


def test_members_without_probes_leave_no_rows():
    assert probe_table([block([1], n_epochs=[3])]).empty
    assert len(probe_table([block([1], n_epochs=[3]), probed([2], n_epochs=[3], layers=2)])) == 6


def test_probes_go_with_their_members():
    part = only(probed([1, 2], n_epochs=[4, 4], layers=2), [2])
    assert part.probes["gradient_norm"].shape == (1, 4, 2)
