"""Budgets, given configurations, several objectives, stages, asking ahead: the loop around a fake engine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import unitune
from unitune.engine.contract import Outcome
from unitune.errors import OptionError
from unitune.models.dense import dense_space
from unitune.models.metrics import METRICS
from unitune.search import Random
from unitune.search.tpe import Tpe

pytestmark = pytest.mark.slow

RANGES = {"units": "2:64", "learning_rates": "1e-4:1e-1:log"}


class FakeEngine:
    """Members that score the better the nearer their learning rate is to 0.01."""

    name = "fused"
    plans: tuple[str, ...] = ()
    resumable = None

    def __init__(self) -> None:
        self.members = 0
        self.calls: list[int] = []
        self.trained: list[tuple[int, int, int]] = []

    def train(self, jobs, splits, *, should_stop=lambda: False, take=lambda jobs: [True] * len(jobs)) -> Iterator:
        jobs = [job for job, mine in zip(jobs, take(jobs), strict=True) if mine]
        self.calls.append(len(jobs))
        self.trained += [(job.member.trial, job.member.fold, job.last_epoch) for job in jobs]
        for index in sorted({job.split for job in jobs}):
            mine = tuple(job for job in jobs if job.split == index)
            self.members += len(mine)
            yield self._outcome(mine, splits[index])

    def _outcome(self, jobs, split) -> Outcome:
        miss = [abs(np.log10(job.training.optimizer.learning_rate) + 2) for job in jobs]
        n = len(jobs)

        def predictions(y):
            rng = np.random.default_rng(jobs[0].member.seed)
            wrong = rng.random(len(y))[None, :] < 0.05 + 0.2 * np.array(miss)[:, None]
            truth = np.asarray(y).reshape(-1)[None, :] > 0.5
            return np.where(truth ^ wrong, 0.9, 0.1)[:, :, None]

        epochs = np.array([job.last_epoch for job in jobs])
        curve = np.ones((n, epochs.max(), 2))
        return Outcome(
            jobs=jobs,
            metrics=("loss", "accuracy"),
            train=curve,
            validation=curve,
            learning_rate=curve[:, :, 0],
            n_epochs=epochs,
            best_epoch=epochs,
            train_predictions=predictions(split.y_train),
            validation_predictions=predictions(split.y_val),
            weights=((),) * n,
            failures=("",) * n,
            elapsed_s=np.ones(n),
            engine="fused",
            states=tuple("on" if job.last_epoch < job.training.epochs else None for job in jobs),
        )


@pytest.fixture
def engine(monkeypatch) -> FakeEngine:
    fake = FakeEngine()

    @contextmanager
    def engine_on(*_):
        yield fake

    monkeypatch.setattr("unitune.tuner.dense.engine_on", engine_on)
    return fake


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    return x, (x[:, 0] > 0).astype(int)


def tune(rows, **arguments):
    return unitune.tune(*rows, **{"folds": 4, "epochs": 3, "progress": False, **RANGES, **arguments})


def test_members_at_most(engine, rows):
    found = tune(rows, member_limit=50, trials=40)
    assert (len(found.trials), engine.members) == (12, 48)
    assert found.notes[-1] == "Stopped after 12 trials: the next would have exceeded the networks (`member_limit=50`)."


def test_epochs_at_most(engine, rows):
    found = tune(rows, epoch_limit=100, trials=40)
    assert engine.members * 3 == 96
    assert "`epoch_limit=100`" in found.notes[-1]
    assert len(found.trials) == 8


def test_the_target_ends_the_search(engine, rows):
    found = tune(rows, target_score=0.9, trials=1_000, strategy="random")
    assert found.best.scores["accuracy"].mean >= 0.9
    assert len(found.trials) < 1_000
    assert "`target_score=0.9`" in found.notes[-1]


def test_a_target_that_is_not_reached_is_not_spoken_of(engine, rows):
    found = tune(rows, target_score=2.0, trials=30)
    assert len(found.trials) == 30
    assert "target_score" not in " ".join(found.notes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"member_limit": 3}, "`member_limit` must allow one trial"),
        ({"epoch_limit": 11}, "`epoch_limit` must allow one trial"),
        ({"member_limit": 0}, "`member_limit` must be a whole number"),
        ({"epoch_limit": 0.5}, "`epoch_limit` must be a whole number"),
        ({"target_score": "high"}, "`target_score` must be a number"),
        ({"objectives": ["accuracy"]}, "two or more"),
        ({"objectives": ["parameters", "accuracy"]}, "the first of `objectives` must be a metric"),
        ({"objectives": ["accuracy", "speed"]}, "speed"),
        ({"objectives": ["accuracy", "auc"], "objective": "auc"}, "`objective` must be the first"),
        ({"strategy": Random(dense_space(**RANGES), seed=0), "nested": 2}, "`strategy` must be a name"),
    ],
)
def test_what_cannot_be_is_refused(engine, rows, arguments, message):
    with pytest.raises(OptionError, match=message):
        tune(rows, **arguments)
    assert engine.members == 0


def test_a_learning_strategy_is_asked_ahead_and_proposes_the_same_again(engine, rows, monkeypatch):
    asked_in: list[bool] = []
    ask = Tpe.ask

    def watched(self, n, running=()):
        asked_in.append(threading.current_thread() is threading.main_thread())
        return ask(self, n, running)

    monkeypatch.setattr(Tpe, "ask", watched)
    found = tune(rows, strategy="tpe", trials=150)
    assert asked_in[0]
    assert not any(asked_in[1:])
    assert len(engine.calls) >= 4
    again = tune(rows, strategy="tpe", trials=150)
    assert [trial.configuration for trial in found.trials] == [trial.configuration for trial in again.trials]
    last, first = found.trials[-40:], found.trials[:40]
    assert (
        np.mean([t.scores["accuracy"].mean for t in last]) > np.mean([t.scores["accuracy"].mean for t in first]) + 0.05
    )
    assert {"proposing", "waited for proposals"} <= found.run.elapsed_s.keys()


def test_auto_says_why(engine, rows):
    found = tune(rows, trials=10)
    assert found.run.strategy == "qmc"
    assert any(note.startswith("Strategy: qmc, because of endlessly many") for note in found.notes)


def test_given_configurations_are_trained_first(engine, rows):
    found = tune(rows, trials=5, enqueue=[{"units": 7}, {"units": 9, "learning_rate": 0.01}], baseline={"units": 3})
    assert [trial.configuration["units"] for trial in found.trials[:3]] == [3, 7, 9]
    assert found.best.number == 3


def test_a_warm_start_from_a_result_and_from_a_folder(engine, rows, tmp_path):
    earlier = tune(rows, trials=40, strategy="qmc")
    found = tune(rows, trials=30, strategy="tpe", warm_start=earlier)
    assert found.trials[0].configuration == earlier.best.configuration
    assert any(note.startswith("40 of the 40 trials of the earlier run are known") for note in found.notes)
    means = [trial.scores["accuracy"].mean for trial in found.trials]
    assert np.median(means) > np.median([trial.scores["accuracy"].mean for trial in earlier.trials]) + 0.05
    narrow = tune(rows, trials=3, warm_start=earlier, learning_rates="1e-3:1e-1:log")
    assert any("lie outside of this space" in note for note in narrow.notes)


def test_a_warm_start_that_does_not_fit_says_why(engine, rows):
    earlier = tune(rows, trials=5)
    x, y = rows
    other = tune((x, 1 - y), trials=3, warm_start=earlier)
    assert any("its rows are not these" in note for note in other.notes)
    elsewhere = tune(rows, trials=3, warm_start=earlier, epochs=2)
    assert any("none of its 5 trials lies in this space" in note for note in elsewhere.notes)


def test_several_objectives_have_a_front(engine, rows):
    found = tune(rows, trials=60, objectives=["accuracy", "parameters", "log_loss"])
    assert found.run.strategy == "nsga2"
    assert [name for name, _ in found.run.objectives] == ["accuracy", "parameters", "log_loss"]
    front = found.pareto()
    assert {"accuracy", "parameters", "log_loss", "units"} - {"accuracy"} <= set(front.columns)
    values = np.array(
        [[-trial.scores["accuracy"].mean, trial.n_parameters, trial.scores["log_loss"].mean] for trial in found.trials]
    )
    beaten = [any((v <= w).all() and (v < w).any() for v in values) for w in values]
    assert sorted(front["trial"]) == [
        trial.number for trial, is_beaten in zip(found.trials, beaten, strict=True) if not is_beaten
    ]
    assert front["mean"].is_monotonic_decreasing
    assert METRICS["log_loss"].direction == "minimize"


def test_one_objective_has_a_front_with_the_parameters(engine, rows):
    found = tune(rows, trials=20)
    front = found.pareto()
    assert front["mean"].is_monotonic_decreasing
    assert front["parameters"].is_monotonic_decreasing
    with pytest.raises(OptionError, match="two objectives"):
        found.pareto(["accuracy"])
    with pytest.raises(OptionError, match="must have been scored"):
        found.pareto(["accuracy", "size"])


def test_racing_drops_what_is_worse_and_says_so(engine, rows):
    found = tune(rows, strategy="racing", trials=40, folds=5)
    stopped = [trial for trial in found.trials if trial.state == "stopped"]
    assert len(found.trials) == 40
    assert 5 < len(stopped) < 40
    assert engine.members == sum(len(trial.scores["accuracy"].values) for trial in found.trials) < 180
    assert all(2 <= len(trial.scores["accuracy"].values) < 5 for trial in stopped)
    assert stopped[0].failure.startswith("stopped early after ")
    assert "where the best has" in stopped[0].failure
    table = found.table()
    gone = table[table["state"] == "stopped"]
    assert sorted(gone["trial"]) == [trial.number for trial in stopped]
    assert gone[["rank", "mean", "std"]].isna().all(axis=None)
    # The scores that they have count: what they would have become is known, if less well.
    assert np.isfinite(gone[["expected", "low", "high", "p_best", "expected_loss"]]).all(axis=None)
    assert table["p_best"].sum() == pytest.approx(1)
    assert gone["p_best"].sum() < 0.05
    widths = (table["high"] - table["low"]).groupby(table["state"]).median()
    assert widths["stopped"] > widths["complete"]
    assert table["state"].tolist() == sorted(table["state"].tolist())  # complete ones first
    assert not set(found.credible) & set(gone["trial"])
    assert found.best.state == found.recommended.state == "complete"
    assert np.isfinite(found.estimate.mean)
    assert not set(found.pareto()["trial"]) & set(gone["trial"])
    assert all(number not in {trial.number for trial in stopped} for one in found.findings for number in one.trials)


def test_racing_keeps_the_tied_set_of_the_whole_search(engine, rows):
    whole = tune(rows, strategy="qmc", trials=40, folds=5)
    raced = tune(rows, strategy="racing", trials=40, folds=5)
    assert raced.best.configuration == whole.best.configuration
    dropped = {trial.number for trial in raced.trials if trial.state == "stopped"}
    assert len(dropped & set(whole.credible)) <= 0.05 * len(whole.credible)


def test_racing_is_reported_without_a_hitch(engine, rows, tmp_path):
    found = tune(rows, strategy="racing", trials=30)
    page = found.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "stopped" in page


def test_racing_needs_three_folds(engine, rows):
    with pytest.raises(OptionError, match="three folds"):
        tune(rows, strategy="racing", trials=4, folds=2)


@pytest.mark.parametrize(("strategy", "first"), [("halving", {1}), ("hyperband", {1, 3, 9, 27})])
def test_halving_gives_more_epochs_to_the_better_third(engine, rows, strategy, first):
    found = tune(rows, strategy=strategy, trials=81, epochs=27)
    by_trial: dict[int, list[int]] = {}
    for trial, fold, epoch in engine.trained:
        if fold == 0:
            by_trial.setdefault(trial, []).append(epoch)
    assert {epochs[0] for epochs in by_trial.values()} == first
    complete = [trial for trial in found.trials if trial.state == "complete"]
    stopped = [trial for trial in found.trials if trial.state == "stopped"]
    assert len(complete) + len(stopped) == 81
    assert all(by_trial[trial.number][-1] == 27 for trial in complete)
    assert all(by_trial[trial.number][-1] < 27 for trial in stopped)
    assert {"stopped early after 1 of 27 epochs: others were better"} <= {trial.failure for trial in stopped}
    if strategy == "halving":
        reached = [sum(epoch in epochs for epochs in by_trial.values()) for epoch in (1, 3, 9, 27)]
        assert reached == [81, 27, 9, 3]
        means = {trial.number: trial.scores["accuracy"].mean for trial in found.trials}
        assert min(means[t] for t, e in by_trial.items() if len(e) > 1) >= max(
            means[t] for t, e in by_trial.items() if len(e) == 1
        )
    assert found.best.state == "complete"
    assert len(found.members(stopped[0])) == 4


def test_halving_in_several_rounds_and_batches_ends(engine, rows, monkeypatch):
    monkeypatch.setattr("unitune.tuner.halved.TRIALS_PER_ROUND", 10)
    monkeypatch.setattr("unitune.tuner.loop.MEMBERS_PER_BATCH", 120)
    found = tune(rows, strategy="halving", trials=70, epochs=9)
    assert len(found.trials) == 70
    assert sum(trial.state == "complete" for trial in found.trials) >= 3
    again = tune(rows, strategy="halving", trials=70, epochs=9)
    assert [trial.state for trial in again.trials] == [trial.state for trial in found.trials]


def test_halving_keeps_to_its_epochs(engine, rows):
    found = tune(rows, strategy="halving", epoch_limit=1_000, trials=200, epochs=9)
    spent = sum(int(found.members(trial)["n_epochs"].sum()) for trial in found.trials)
    assert 900 < spent <= 1_000
    assert len(found.trials) > 30  # 27 would have used all, had they run to their end


def test_few_trials_have_a_winner_all_the_same(engine, rows):
    found = tune(rows, strategy="halving", trials=2, epochs=9)
    assert sorted(trial.state for trial in found.trials) == ["complete", "stopped"]


def test_a_limit_of_epochs_alone_is_used_up(engine, rows):
    found = tune(rows, epoch_limit=2_400)
    assert found.run.strategy == "tpe"
    assert engine.members * 3 == 2_400
    assert len(found.trials) == 200


def test_what_was_stopped_is_loaded_again_and_not_trained_again(engine, rows, tmp_path):
    found = tune(rows, strategy="racing", trials=30, out=tmp_path, name="run")
    loaded = unitune.load(tmp_path / "run")
    assert [(one.state, one.failure) for one in loaded.trials] == [(one.state, one.failure) for one in found.trials]
    assert {"stopped", "complete"} == {one.state for one in loaded.trials}
    assert loaded.credible == found.credible
    trained = engine.members
    again = unitune.resume(tmp_path / "run", *rows, trials=31, progress=False)
    assert len(again.trials) == 31
    assert engine.members - trained <= 4


def test_racing_in_several_batches_goes_on_from_the_best_so_far(engine, rows, monkeypatch):
    earlier = tune(rows, trials=10, folds=5, seed=3)
    monkeypatch.setattr("unitune.tuner.loop.MEMBERS_PER_BATCH", 60)
    found = tune(rows, strategy="racing", trials=36, folds=5, warm_start=earlier)
    assert len(engine.calls) > 6
    later = [trial for trial in found.trials if trial.number > 12 and trial.state == "stopped"]
    assert later
    best_of_first = max(t.scores["accuracy"].mean for t in found.trials[:12] if t.state == "complete")
    assert found.best.scores["accuracy"].mean >= best_of_first


def test_a_learning_search_goes_on_with_what_it_proposed(engine, rows, tmp_path):
    found = tune(rows, strategy="tpe", trials=96, out=tmp_path, name="run")
    trained = engine.members
    again = unitune.resume(tmp_path / "run", *rows, trials=110, progress=False)
    assert [one.configuration for one in again.trials[:96]] == [one.configuration for one in found.trials]
    assert engine.members - trained == 14 * 4
