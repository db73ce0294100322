"""The options of `tune`, and those of `compare`: groups put together, and what holds between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from unitune.errors import OptionError
from unitune.options.base import Options
from unitune.options.evaluation import EvaluationOptions, ObjectivesOptions
from unitune.options.flags import AtLeast
from unitune.options.rows import RowOptions, ScaleOptions
from unitune.options.run import RunOptions
from unitune.options.search import BesideOptions, Budget, SearchOptions, TrainingOptions
from unitune.options.space import SpaceOptions

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class TuneOptions(
    RunOptions,
    TrainingOptions,
    BesideOptions,
    Budget,
    SearchOptions,
    ObjectivesOptions,
    EvaluationOptions,
    SpaceOptions,
    ScaleOptions,
    RowOptions,
):
    """What `tune` takes. A group that is inherited later stands earlier in the signature.

    Args:
        rows: After a function: the target, where the rows are `y`.
    """

    rows: Any = None

    def __post_init__(self) -> None:
        """Refuses what contradicts itself.

        Raises:
            OptionError: Nested cross-validation is tied to certain rows or to one strategy; or as in the groups.
        """
        super().__post_init__()
        if self.nested is None:
            return
        if self.validation_data is not None:
            raise OptionError(
                "`nested` cannot be combined with `validation_data`", "", "Use `folds` for the inner splits."
            )
        if self.cv is not None and not hasattr(self.cv, "split"):
            raise OptionError(
                "`nested` splits anew inside each outer fold",
                "`cv` holds row numbers",
                "Give a splitter, or use `folds`.",
            )
        if not isinstance(self.strategy, str):
            raise OptionError(
                "with `nested`, `strategy` must be a name", f"got {self.strategy!r}", "Each search has its own."
            )


@dataclass(frozen=True, eq=False)
class _Models(Options):
    """What `compare` compares.

    Args:
        models: From a name to a compiled model with one output.
    """

    models: Mapping[str, "keras.Model"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CompareOptions(RunOptions, TrainingOptions, EvaluationOptions, RowOptions, _Models):
    """What `compare` takes.

    Args:
        task: `"binary"`, `"multiclass"` or `"regression"`; follows from the models' loss, or from the target.
        normalize: Whether rows are normalised before they reach a model. Not by default: a model gets the rows as
            they are, as in its own `fit`.
        epochs: How long to train.
        batch_size: Rows per step.
        patience: Stop after so many epochs without improvement of the validation loss, keeping the best weights.
        shuffle: Whether the rows are shuffled before each epoch.
    """

    normalize: Any = False
    epochs: Annotated[int, AtLeast(1, whole=True)] = 10
    batch_size: Annotated[int, AtLeast(1, whole=True)] = 32
    patience: Annotated[int | None, AtLeast(0, whole=True)] = None
    shuffle: bool = True

    def __post_init__(self) -> None:
        """Refuses what is no mapping of models.

        Raises:
            OptionError: It is none; or as in the groups.
        """
        super().__post_init__()
        if not isinstance(self.models, Mapping) or not self.models or not all(isinstance(k, str) for k in self.models):
            raise OptionError(
                "`models` must map names to compiled Keras models",
                f"got {_shown(self.models)}",
                'Write `{"relu-64": model}`.',
            )


def _shown(models: Any) -> str:
    if isinstance(models, Mapping):
        return "an empty one" if not models else "names that are not text"
    return type(models).__name__
