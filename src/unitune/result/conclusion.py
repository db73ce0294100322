"""The answer in three sentences: what to take, what to expect of it, and what is open."""

from __future__ import annotations

from collections.abc import Callable

from unitune.errors import RunFolderError
from unitune.records import Trial, difference_text, interval_text
from unitune.report.numbers import axis_name, setting
from unitune.result.certainty import Certainty
from unitune.store import Run
from unitune.store.run import varying


def label(run: Run, trial: Trial) -> str:
    """What a trial has that others have not."""
    parts = []
    for name in varying(run.space):
        if name in trial.configuration:
            value = setting(run.space.label(name, trial.configuration[name]))
            # An activation or an optimizer says by itself what it is.
            own = name.rpartition("_")[0] if name.rpartition("_")[2].isdigit() else name
            parts.append(value if own in ("activation", "optimizer", "model") else f"{axis_name(name)} {value}")
    return ", ".join(parts) or f"trial {trial.number}"


def conclude(certainty: Certainty, name_of: Callable[[Trial], str]) -> tuple[str, str, str]:
    """The three sentences.

    Args:
        certainty: What is known of the run's trials.
        name_of: What a trial is called.
    """
    return _take(certainty, name_of), _expect(certainty), _open(certainty)


def _take(certainty: Certainty, name_of: Callable[[Trial], str]) -> str:
    objective = certainty.run.objective
    best, chosen = certainty.modelled[0], certainty.recommended
    n = len(certainty.ranked)
    score, mean = best.scores[objective].mean, chosen.scores[objective].mean
    if n == 1 and not certainty.n_stopped:
        return f"One trial was trained, {name_of(best)}: its {objective} is {score:.4g}."
    many = f"{n:,} trials"
    if certainty.n_stopped:
        many = f"{n + certainty.n_stopped:,} trials, {certainty.n_stopped:,} of which were stopped early,"
    head = f"Take {name_of(chosen)} (trial {chosen.number}): "
    if chosen.number == best.number:
        return f"{head}of {many} it has the best {objective}, {mean:.4g}."
    head += f"its {objective} of {mean:.4g} is not the highest of {many}, {score:.4g} (trial {best.number}), but "
    if chosen.n_parameters >= best.n_parameters:
        return f"{head}the scores of all together speak for it."
    lost = certainty.posterior.expected_loss
    return (
        f"{head}it has {chosen.n_parameters:,} parameters instead of {best.n_parameters:,}, and lies on average "
        f"{difference_text(lost[certainty.place], mean)} behind the truly best, where trial {best.number} lies "
        f"{difference_text(lost[0], mean)}."
    )


def _expect(certainty: Certainty) -> str:
    objective = certainty.run.objective
    try:
        one = certainty.estimates[objective]
    except RunFolderError:
        return f"This {objective} is that of a winner, and so likely a little better than on new rows."
    head = f"On new rows expect {_article(objective)} {objective} of {one.mean:.4g}{interval_text(one.low, one.high)}"
    if certainty.run.nested:
        head += ", by nested cross-validation"
    if len(certainty.modelled) == 1:
        return f"{head}."
    loss = difference_text(certainty.posterior.loss_at_most(certainty.place), one.mean)
    loss = loss if loss.startswith("less") else f"at most {loss}"
    return f"{head}; that is {loss} worse than the truly best of them, with 95 %."


def _open(certainty: Certainty) -> str:
    spent = f" {certainty.run.spent['reason']}" if certainty.run.spent.get("reason") else ""
    if not certainty.is_known:
        return "With one score for each trial nothing tells a difference from luck; folds (`folds=5`) would."
    if len(certainty.modelled) == 1:
        return _unknown(certainty) or "There was nothing to choose from."
    limits = "".join(f" {sentence}" for sentence in certainty.posterior.limits)
    limits += f" {_unknown(certainty)}" if certainty.n_unknown else ""
    n = len(certainty.credible)
    if n == 1 and not certainty.n_unknown:
        return f"Nothing is open: with 95 % no other trial is better.{spent}{limits}"
    if n == 1:
        return f"With 95 % no other trial that was trained to its end is better.{spent}{limits}"
    which = f"Which of {n:,} trials is the truly best is open"
    lost = float(certainty.posterior.expected_loss[certainty.place])
    if certainty.is_settled:
        mean = certainty.recommended.scores[certainty.run.objective].mean
        lose, luck = (difference_text(one, mean) for one in (lost, certainty.posterior.standard_error))
        return (
            f"{which}, and matters little: with this one you lose {lose} on average, where the luck of a score is "
            f"{luck}.{spent}{limits}"
        )
    worth = certainty.to_settle
    if worth is None:
        return f"{which}, and repeats on these rows would not settle it: that takes more rows.{spent}{limits}"
    more = "one more repeat" if worth.repeats == 1 else f"{worth.repeats} more repeats"
    now = int(certainty.run.folds["repeats"])
    return (
        f"{which}: {more} of the {len(worth.trials)} likeliest would settle it (`repeats={now + worth.repeats}`), in "
        f"four of five cases at least.{spent}{limits}"
    )


def _unknown(certainty: Certainty) -> str:
    """What cannot be said of trials that were stopped after some epochs."""
    n = certainty.n_unknown
    if not n:
        return ""
    return (
        f"How good {'the one that was' if n == 1 else f'the {n:,} that were'} stopped after fewer epochs would have "
        f"become is open; {'it was' if n == 1 else 'they were'} behind at that time."
    )


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" or word in ("rmse", "r2", "f1", "mae") else "a"
