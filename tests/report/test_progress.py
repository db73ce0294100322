import io

import pytest
from rich.console import Console

from unitune.errors import OptionError, TrainingError
from unitune.records import Member, Score, Trial
from unitune.report.progress import Bar, Lines, Listener, Pace, Plan, all_listeners, describe, make_progress, score_text

PLAN = Plan(
    objective="accuracy",
    direction="maximize",
    n_trials=2,
    members_per_trial=5,
    strategy="grid",
    engine="fused",
    evaluation="5 folds",
    notes=("Task: binary [inferred].",),
)
MEMBER = Member(trial=1, fold=0, repeat=0, seed=0)


def trial(mean=0.9, low=0.85, high=0.95):
    score = Score(metric="accuracy", mean=mean, std=0.01, low=low, high=high, train=1.0, values=(mean,))
    return Trial(number=1, configuration={}, state="complete", scores={"accuracy": score})


def play(listener):
    listener.on_start(PLAN)
    for _ in range(5):
        listener.on_member(MEMBER, "")
    listener.on_trial(trial(), trial())
    listener.on_phase("refit")
    listener.on_end()


def test_the_plan_is_told_in_a_sentence():
    assert describe(PLAN) == "2 trials × 5 folds = 10 networks; strategy: grid; the highest accuracy wins."


def test_scores_are_told_with_their_interval():
    assert score_text(trial(), "accuracy") == "accuracy 0.9 ± 0.05"
    assert score_text(trial(low=float("nan"), high=float("nan")), "accuracy") == "accuracy 0.9"
    assert score_text(None, "accuracy") == "accuracy –"


def test_lines_are_plain_text():
    text = io.StringIO()
    play(Lines(Console(file=text, width=40), every_s=0.0))
    lines = text.getvalue().splitlines()
    assert lines[0] == "Task: binary [inferred]."
    assert "1/2 trials, 5 networks" in lines[-2]
    assert "best accuracy 0.9 ± 0.05" in lines[-2]
    assert lines[-1] == "refitting the best on all rows"
    assert "\x1b" not in text.getvalue()


def test_the_bar_shows_trials_networks_and_the_best():
    text = io.StringIO()
    play(Bar(Console(file=text, width=120, force_terminal=True)))
    shown = text.getvalue()
    assert "1/2 trials" in shown
    assert "5/10" in shown
    assert "refitting the best" in shown
    assert "[inferred]" in shown


def test_an_interval_that_means_nothing_is_not_shown():
    assert score_text(trial(0.4, 0.0, 1.0), "accuracy") == "accuracy 0.4"  # two folds far apart
    assert score_text(trial(0.4, 0.4, 0.4), "accuracy") == "accuracy 0.4"  # two folds of the same score
    assert score_text(trial(0.4, 0.3, 0.5), "accuracy") == "accuracy 0.4 ± 0.1"


def test_an_end_without_a_start_is_fine():
    Bar(Console(file=io.StringIO())).on_end()
    Lines(Console(file=io.StringIO())).on_end()


def test_a_terminal_gets_a_bar_and_a_pipe_gets_lines():
    assert make_progress(False) == []
    assert isinstance(make_progress(True, file=io.StringIO())[0], Lines)


def test_listeners_are_one_or_a_list_of_them():
    one = Listener()
    assert all_listeners(False, one) == all_listeners(False, (one,)) == [one]
    with pytest.raises(OptionError, match=r"must be a list of `unitune\.Listener` objects, but got `3`"):
        all_listeners(False, 3)
    with pytest.raises(OptionError, match=r"got one of `int`\. Derive your class from `unitune\.Listener`"):
        all_listeners(False, [one, 3])


def test_callbacks_of_keras_are_sent_where_they_belong():
    keras = pytest.importorskip("keras")

    class Mine(keras.callbacks.Callback):
        pass

    for callback in (keras.callbacks.EarlyStopping(), Mine()):
        with pytest.raises(OptionError, match=r"`HyperModel\.fit`, or use `patience=`"):
            all_listeners(False, [callback])


def test_failures_of_all_are_counted():
    assert str(TrainingError.of_all(1, "it diverged")) == "The only trial failed: it diverged."
    assert str(TrainingError.of_all(1200, "it diverged")) == "All 1,200 trials failed. The first: it diverged."
    assert "limit" in str(TrainingError.of_all(0))


def test_the_time_left_goes_by_what_came_after_the_compiler():
    pace = Pace()
    for _ in range(25):
        pace.note(30.0)  # a tile of 25 networks, after 30 s of compiling
    assert pace.left(100) == ""
    for _ in range(25):
        pace.note(32.0)
    assert pace.left(100) == "about 4 s left"
    assert pace.left(50) == pace.left(None) == ""


def test_lines_say_that_it_compiles_before_anything_is_trained():
    out = io.StringIO()
    lines = Lines(Console(file=out, width=100), every_s=0)
    lines.on_start(PLAN)
    lines.on_member(MEMBER, "")
    assert "0/2 trials, 0 s: compiling, and training the first networks" in out.getvalue()
