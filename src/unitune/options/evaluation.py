"""How a configuration is evaluated: task, objective, and which rows train and validate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from unitune.options.base import Options
from unitune.options.flags import AtLeast, Flag


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationOptions(Options):
    """How a configuration is evaluated.

    Args:
        task: `"binary"`, `"multiclass"` or `"regression"`; inferred from the target.
        objective: The metric that ranks the trials; accuracy for classes and RMSE for regression if not given.
        direction: `"minimize"` or `"maximize"`; must be that of the objective.
        folds: Folds of a cross-validation, stratified for classes; 5, or fewer where a class has fewer rows.
        repeats: How often, with other folds and seeds.
        groups: `(row,)` labels or the name of a column; rows of one group stay in one fold.
        cv: A scikit-learn splitter or pairs of row numbers, instead of `folds`.
        time_ordered: Train on earlier rows, validate on later ones.
        validation_split: Validate once, on this share of the rows (the last ones), instead of `folds`.
        validation_data: Validate once on these rows: `(x, y)`, `(x, y, sample_weight)`, a frame, a path or
            batches.
        test_data: Likewise; looked at once, at the end (`Result.test_scores`).
        sample_weight: `(row,)` or the name of a column.
        class_weight: From a class to its weight in training, or `"balanced"`; all alike if not given.
    """

    panel: ClassVar[str] = "How it is evaluated"

    task: Annotated[str | None, Flag("binary, multiclass or regression; inferred from the target.")] = None
    objective: Annotated[str | None, Flag("The metric that ranks the trials: accuracy, auc, rmse, loss, ...")] = None
    direction: Annotated[str | None, Flag("minimize or maximize; follows from the objective.")] = None
    folds: Annotated[int | None, Flag("Folds of the cross-validation, stratified for classes.", int)] = None
    repeats: Annotated[int, Flag("Repeats of the cross-validation with other seeds.", int), AtLeast(1, whole=True)] = 1
    groups: Annotated[Any, Flag("A column; its rows of one value stay in one fold.")] = None
    cv: Annotated[Any, Flag("A splitter of scikit-learn: 'ShuffleSplit(n_splits=5, test_size=0.2)'.")] = None
    time_ordered: Annotated[bool, Flag("Train on earlier rows, validate on later ones.", bool)] = False
    validation_split: Annotated[float | None, Flag("Validate once, on this share of the rows.", float)] = None
    validation_data: Annotated[Any, Flag("Validate once, on the rows of this table.")] = None
    test_data: Annotated[Any, Flag("A table that is looked at once, at the end.")] = None
    sample_weight: Annotated[Any, Flag("A column of weights.")] = None
    class_weight: Annotated[Any, Flag("balanced, or weights: yes=2,no=1.")] = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectivesOptions(Options):
    """Several objectives.

    Args:
        objectives: Several objectives: metrics, `"parameters"`, `"seconds"`. The first ranks the trials; `nsga2`,
            `nsga3`, `tpe` and `gp` look for the Pareto front of all (`Result.pareto`).
    """

    panel: ClassVar[str] = EvaluationOptions.panel

    objectives: Annotated[
        Sequence[str] | None, Flag("Several objectives: accuracy,parameters,seconds; the first ranks the trials.")
    ] = None
