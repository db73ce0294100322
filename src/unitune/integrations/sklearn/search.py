"""`FusedGridSearchCV` and `FusedRandomizedSearchCV`: scikit-learn's searches, all candidates trained together."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import joblib
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, check_cv
from sklearn.model_selection._validation import _check_method_params
from sklearn.utils import get_tags, indexable
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _num_samples

from unitune.integrations.sklearn.base import KerasBase
from unitune.integrations.sklearn.memo import Memo, share_steps
from unitune.integrations.sklearn.shared import SharedFits
from unitune.models import backend


class UnfusedWarning(UserWarning):
    """Some candidates of a fused search were evaluated by scikit-learn, one by one."""


class _NothingFused(BaseException):
    """Ends a search in which no candidate can be fused."""


class _Folds:
    """Folds that were split already, as a splitter."""

    def __init__(self, folds: Sequence[Any]) -> None:
        self._folds = folds

    def split(self, *rows: Any, **metadata: Any) -> Sequence[Any]:
        return self._folds


class _Fused:
    """What makes a search of scikit-learn's fused: the trainings of all candidates and folds are done beforehand."""

    estimator: Any
    _task: _Task | None = None

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:  # noqa: N803
        """Runs the search, and refits the best.

        Args:
            X: Rows, as the estimator takes them.
            y: The target.
            **params: `sample_weight`, `groups` and other metadata, as in scikit-learn.

        Returns:
            The search itself.
        """
        if not _networks(self.estimator):
            if hasattr(self.estimator, "get_params"):
                _warn(f"`{type(self.estimator).__name__}` holds no Keras network that Unitune could train")
            return super().fit(X, y, **params)  # type: ignore[misc]
        given = self.estimator
        self.estimator = clone(given)
        memoised = share_steps(self.estimator, Memo())
        self._task = _Task(X, y)
        try:
            # The engine has used all cores when scikit-learn's turn comes; other processes would not see what it did.
            with joblib.parallel_config(backend="sequential"), self._task.shared.active():
                super().fit(X, y, **params)  # type: ignore[misc]
        except _NothingFused:
            _warn(str(self._task.reason))
            self.estimator, self._task, memoised = given, None, []
            super().fit(X, y, **params)  # type: ignore[misc]
        finally:
            self.estimator = given
            del self._task
        if memoised and hasattr(self, "best_estimator_"):
            self._forget(self.best_estimator_)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.target_tags = get_tags(self.estimator).target_tags
        return tags

    def _forget(self, estimator: Any) -> None:
        kept = [name for name, value in estimator.get_params(deep=True).items() if isinstance(value, Memo)]
        estimator.set_params(**dict.fromkeys(kept))

    def _get_routed_params_for_fit(self, params: Any) -> Any:
        routed = super()._get_routed_params_for_fit(params)  # type: ignore[misc]
        if self._task is not None:
            self._task.routed = routed
        return routed

    def _run_search(self, evaluate_candidates: Any, *, callback_ctx: Any = None) -> None:
        """As scikit-learn's own, but that candidates are trained before they are evaluated."""
        context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        task = self._task
        if task is None:
            super()._run_search(evaluate_candidates, **context)  # type: ignore[misc]
            return

        def evaluate(candidates: Iterable[Mapping[str, Any]], cv: Any = None, **more: Any) -> Any:
            candidates = list(candidates)
            folds = list((cv or self._splitter()).split(task.X, task.y, **task.routed.splitter.split))
            task.prepare(self.estimator, candidates, folds)
            return evaluate_candidates(candidates, cv=_Folds(folds), **more)

        super()._run_search(evaluate, **context)  # type: ignore[misc]

    def _splitter(self) -> Any:
        """What scikit-learn made of `cv`; before 1.9 it keeps that to itself."""
        made = getattr(self, "_checked_cv_orig", None)
        if made is None:
            made = check_cv(self.cv, self._task.y, classifier=is_classifier(self.estimator))  # type: ignore[attr-defined, union-attr]
        return made

    def _format_results(self, candidate_params: Any, n_splits: int, out: Any, more_results: Any = None) -> Any:
        """A member's share of the time that the engine took is part of its `fit_time`."""
        if self._task is not None:
            elapsed = self._task.shared.elapsed_s
            out = [one | {"fit_time": one["fit_time"] + elapsed.get(place, 0.0)} for place, one in enumerate(out)]
        return super()._format_results(candidate_params, n_splits, out, more_results)  # type: ignore[misc]


class _Task:
    """The rows of a search, and the trainings that its candidates need."""

    def __init__(self, X: Any, y: Any) -> None:  # noqa: N803
        self.X, self.y = indexable(X, y)
        self.routed: Any = None
        self.shared = SharedFits()
        self.reason = ""

    def prepare(self, estimator: Any, candidates: Sequence[Mapping[str, Any]], folds: Sequence[Any]) -> None:
        """Trains every candidate on every fold; warns of those that cannot be fused."""
        backend.ensure()
        without: dict[int, str] = {}
        for number, candidate in enumerate(candidates):
            for fold, (train, _) in enumerate(folds):
                reason = self._note(number * len(folds) + fold, estimator, candidate, train)
                if reason:
                    without[number] = reason
                    break
        self.shared.train(_num_samples(self.X))
        without |= {place // len(folds): reason for place, reason in self.shared.refused.items()}
        if not without:
            return
        self.reason = _unfused(candidates, without)
        if not self.shared.elapsed_s:
            raise _NothingFused
        _warn(self.reason)

    def _note(self, place: int, estimator: Any, candidate: Mapping[str, Any], train: Any) -> str:
        """Notes the training of a candidate on a fold; returns why it has none, or nothing."""
        own = clone(estimator)
        try:
            own.set_params(**clone(dict(candidate), safe=False))
        except Exception:
            return ""  # scikit-learn will say what is wrong
        if not _networks(own):
            return "it holds no Keras network that Unitune could train"
        x, y = _safe_split(own, self.X, self.y, train)
        arguments = () if y is None else (y,)
        fit_params = _check_method_params(self.X, params=self.routed.estimator.fit, indices=train)
        self.shared.note(place, lambda: own.fit(x, *arguments, **fit_params))
        return ""


def _networks(estimator: Any) -> bool:
    """Whether an estimator is, or holds, a network that can be noted."""
    if not hasattr(estimator, "get_params"):
        return False  # scikit-learn will say what is wrong
    parts = [estimator, *estimator.get_params(deep=True).values()]
    return any(isinstance(part, KerasBase) for part in parts)


def _unfused(candidates: Sequence[Mapping[str, Any]], reasons: Mapping[int, str]) -> str:
    """Which candidates have no fused form and why, with the parameter that sets them apart where one does."""
    parts = []
    for reason in dict.fromkeys(reasons.values()):
        numbers = [number for number, own in reasons.items() if own == reason]
        chosen, rest = [candidates[n] for n in numbers], [c for n, c in enumerate(candidates) if n not in numbers]
        apart = ""
        for name in chosen[0]:
            values = {repr(candidate.get(name)): candidate.get(name) for candidate in chosen}
            if not values.keys() & {repr(candidate.get(name)) for candidate in rest} and (rest or len(values) == 1):
                apart = f" (`{name}`: {', '.join(values)})"
                break
        parts.append(f"{len(numbers)} of {len(candidates)} candidates{apart}: {reason}")
    return "; ".join(parts)


def _warn(what: str) -> None:
    warnings.warn(f"Trained by scikit-learn's own search, one by one: {what}.", UnfusedWarning, stacklevel=_outside())


def _outside() -> int:
    """How far up the stack the user's code is."""
    import inspect

    level = 1
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("unitune", "sklearn"):
        frame, level = frame.f_back, level + 1
    return max(1, level - 1)


class FusedGridSearchCV(_Fused, GridSearchCV):  # type: ignore[misc]
    """`sklearn.model_selection.GridSearchCV` whose candidates are trained together, on all folds.

    Parameters, attributes and results are those of `GridSearchCV`; so are scoring, refit, messages and warnings, which
    scikit-learn's own code does. Networks in a `Pipeline` are found by the usual names (`mlp__units`), and its earlier
    steps are fitted once for each fold. What has no fused form is evaluated by scikit-learn, with a warning.

    Args:
        estimator: `KerasMLPClassifier`, `KerasMLPRegressor`, `KerasEstimator`, or what holds one.
        param_grid, scoring, refit, cv, verbose, error_score, return_train_score: As in `GridSearchCV`.
        n_jobs, pre_dispatch: Used where nothing can be fused; the engine uses all cores.

    Example:
        >>> import numpy as np
        >>> from unitune.sklearn import KerasMLPClassifier
        >>> x = np.random.default_rng(0).normal(size=(60, 3))
        >>> network = KerasMLPClassifier(learning_rate=0.05, random_state=0)
        >>> search = FusedGridSearchCV(network, {"units": [2, 8]}, cv=2).fit(x, x[:, 0] > 0)
        >>> search.best_params_["units"] in (2, 8), search.cv_results_["mean_test_score"].shape
        (True, (2,))
    """


class FusedRandomizedSearchCV(_Fused, RandomizedSearchCV):  # type: ignore[misc]
    """`sklearn.model_selection.RandomizedSearchCV` whose candidates are trained together, on all folds.

    See `FusedGridSearchCV`.

    Args:
        estimator: `KerasMLPClassifier`, `KerasMLPRegressor`, `KerasEstimator`, or what holds one.
        param_distributions, n_iter, scoring, refit, cv, verbose, random_state, error_score, return_train_score: As in
            `RandomizedSearchCV`.
        n_jobs, pre_dispatch: Used where nothing can be fused; the engine uses all cores.

    Example:
        >>> import numpy as np
        >>> from unitune.sklearn import KerasMLPClassifier
        >>> x = np.random.default_rng(0).normal(size=(60, 3))
        >>> network = KerasMLPClassifier(learning_rate=0.05, random_state=0)
        >>> values = {"units": [2, 4, 8]}
        >>> search = FusedRandomizedSearchCV(network, values, n_iter=2, cv=2, random_state=0).fit(x, x[:, 0] > 0)
        >>> search.cv_results_["mean_test_score"].shape
        (2,)
    """
