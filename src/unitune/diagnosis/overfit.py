"""Overfitting: the validation loss rises while the training loss goes on falling."""

from __future__ import annotations

import numpy as np

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.curves import at, lowest, ratio, smooth
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.rule import Rule, Signs, Words, percent

CLOSERS = ("units", "dropout", "weight_decay", "l2", "l1", "layers", "batch_normalization", "batch_size")


def signs(evidence: Evidence) -> Signs:
    """The rise of the validation loss over its minimum, and what the training loss did meanwhile."""
    n = np.asarray(evidence.n_epochs)
    validation = smooth(evidence.validation, n)
    train = smooth(evidence.train, n)
    epoch = lowest(validation)
    low, end = at(validation, epoch), at(validation, n)
    train_then, train_end = at(train, epoch), at(train, n)
    numbers = {
        "rise": evidence.per_trial(ratio(end - low, low)),
        "rise_over_baseline": evidence.per_trial(ratio(end - low, evidence.scale)),
        "train_fall": evidence.per_trial(ratio(train_then - train_end, train_then)),
        "began_epoch": evidence.per_trial(np.where(epoch > 0, epoch, np.nan)),
        "val_loss_lowest": evidence.per_trial(low),
        "val_loss_end": evidence.per_trial(end),
        "gap_then": evidence.per_trial(low - train_then),
        "gap_end": evidence.per_trial(end - train_end),
        "n_epochs": evidence.per_trial(n),
        "kept_epoch": evidence.per_trial(evidence.best_epoch),
    }
    found = (
        (numbers["rise"] >= t.OVERFIT_RISE)
        & (numbers["rise_over_baseline"] >= t.OVERFIT_MATERIAL)
        & (numbers["train_fall"] >= t.OVERFIT_TRAIN_FALL)
        & (numbers["n_epochs"] - numbers["began_epoch"] >= 2)
    )
    return Signs(found=found, numbers=numbers)


def words(evidence: Evidence, signs: Signs, position: int) -> Words:
    """When it began, how far it went, and which values close the gap."""
    here = {name: float(values[position]) for name, values in signs.numbers.items()}
    began, n = round(here["began_epoch"]), round(here["n_epochs"])
    # The kept weights are those from before the rise where training stopped early.
    avoided = here["kept_epoch"] <= began + max(2, 0.1 * n)
    closed = closers(evidence, signs, position)
    advice = []
    if avoided:
        advice.append(f"The weights of epoch {round(here['kept_epoch'])} were kept, so the score does not suffer.")
    else:
        advice.append(f"Stop at epoch {began}: `patience={max(3, round(0.1 * n))}`.")
    if closed:
        advice.append("What closes the gap here: " + "; ".join(closed) + ".")
    configuration = evidence.trials[position].configuration
    varied = evidence.varying()
    for name, argument in (("dropout", "dropouts=[0.0, 0.2, 0.5]"), ("weight_decay", "weight_decays=[0.001, 0.01]")):
        if evidence.has(name) and name not in varied and not configuration.get(name):
            advice.append(f"Try `{argument}`.")
    return Words(
        severity="info" if avoided else "warning",
        title=(
            f"Overfitting from epoch {began} of {n} on: the validation loss rises by {percent(here['rise'])} "
            "while the training loss falls"
        ),
        advice=" ".join(advice),
    )


def closers(evidence: Evidence, signs: Signs, position: int) -> list[str]:
    """Values of units, dropout and decay whose trials overfit at most half as much, as phrases."""
    phrases = []
    rise = signs.numbers["rise"]
    for name in evidence.varying(*CLOSERS):
        found = []
        for value, members in evidence.groups(name):
            known = rise[members][np.isfinite(rise[members])]
            median = float(np.median(known)) if len(known) else np.nan
            if position not in members and median <= rise[position] / 2:
                found.append((median, value, members))
        if found:
            median, value, members = min(found, key=lambda row: row[0])
            best = evidence.best_of(members)
            score = "" if best is None else f", at best {evidence.objective} {evidence.mean[best]:.4g}"
            phrases.append(f"{name} {value} (rise {percent(max(0.0, median))}{score})")
    return phrases


RULE = Rule(
    kind="overfit",
    signs=signs,
    words=words,
    summary="overfit",
    remedy="Fewer units, dropout or weight decay slow it down there; with `patience` the weights from before are kept.",
    because=("diverged", "learning_rate_high", "exploding_gradients"),
)
