"""A run as event files of TensorBoard: learning curves and scores of each trial."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unitune.errors import OptionError, SaveError
from unitune.records import counted
from unitune.store.export import Exported


def export_tensorboard(exported: Exported, folder: Path) -> str:
    """Writes a folder of events for each trial: the mean of its folds in each epoch, its scores, its configuration.

    Args:
        exported: The run.
        folder: For `tensorboard --logdir`.

    Returns:
        What was written, as a sentence.

    Raises:
        OptionError: tensorboardX is not installed, or the folder holds something already.
        SaveError: It cannot be written.
    """
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError:
        raise OptionError(
            "Exporting to TensorBoard needs the package tensorboardX",
            "it is not installed",
            "pip install 'unitune[tensorboard]'",
        ) from None
    if folder.exists() and any(folder.iterdir()):
        raise OptionError("Events go to a folder of their own", f"`{folder}` is not empty", "Give another one.")
    curves, space = exported.curves(), exported.run.space
    try:
        for trial in exported.trials:
            with SummaryWriter(str(folder / f"trial_{trial.number:04d}"), write_to_disk=True) as writer:
                for name, values in curves.get(trial.number, {}).items():
                    for epoch, value in values.dropna().items():
                        writer.add_scalar(name, value, int(epoch), walltime=0.0)
                for name, score in trial.scores.items():
                    if np.isfinite(score.mean):
                        writer.add_scalar(f"score/{name}", score.mean, 0, walltime=0.0)
                labels = space.labels(trial.configuration)
                text = "\n".join(f"- {name}: {value}" for name, value in labels.items())
                writer.add_text("configuration", text, 0, walltime=0.0)
    except OSError as error:
        raise SaveError(f"`{folder}` cannot be written: {error.strerror or error}.") from error
    return f"{counted(len(exported.trials), 'trial')} in {folder}; look at them with `tensorboard --logdir {folder}`"
