"""What strategies from Optuna share: a study in memory proposes, and learns what it is told.

Nothing is stored: Optuna's storages take 5 to 40 ms a trial, and our own store has the trials already.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from unitune.records import Array, Configuration, Trial, sign_of
from unitune.search.base import Goal, Strategy
from unitune.search.distributions import Codec
from unitune.search.qmc import Qmc
from unitune.search.unseen import Unseen
from unitune.space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

MAX_REPEATED_ASKS = 10


@dataclass(frozen=True, kw_only=True)
class Told:
    """What became of a configuration; `values` are those of the objectives, None for a failure."""

    configuration: Configuration
    values: tuple[float, ...] | None


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Optuna from announcing each study on standard error."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def made(sampler: Callable[[], BaseSampler]) -> BaseSampler:
    """A sampler, without the warnings that some of its arguments are experimental in Optuna."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sampler()


class StudyStrategy(Strategy):
    """A sampler of Optuna, asked in batches; no configuration comes twice.

    Args:
        space: The space; only what varies and is active is modelled.
        goal: The objectives.
        seed: Of the sampler.
    """

    learns = True
    any_batch = False

    def __init__(self, space: Space, *, goal: Goal, seed: int) -> None:
        self._space = space
        self._goal = goal
        self._codec = Codec(space)
        self._unseen = Unseen(space, seed=seed, attempts=MAX_REPEATED_ASKS)

    @property
    def done(self) -> bool:
        """Whether every configuration of a finite space was proposed."""
        return self._unseen.done

    def width(self, told: int) -> int | None:
        """At first 32 at a time; a long history moves little with each trial, so then a quarter of it, up to 128."""
        return min(128, max(32, told // 4))

    def _study(self, sampler: BaseSampler) -> Study:
        import optuna

        with quiet():
            return optuna.create_study(
                sampler=sampler, directions=[direction for _, direction in self._goal.objectives]
            )

    def _frozen(self, told: Told, names: Sequence[str] | None = None) -> FrozenTrial:
        """A finished trial as Optuna has it, with the parameters that are to be modelled."""
        from optuna.trial import TrialState, create_trial

        params = self._codec.encode(told.configuration)
        if names is not None:
            params = {name: value for name, value in params.items() if name in names}
        return create_trial(
            # Samplers learn where not to go from trials that were pruned, if from any; FAIL is passed over by all.
            state=TrialState.COMPLETE if told.values is not None else TrialState.PRUNED,
            values=told.values,
            params=params,
            distributions=self._codec.distributions(params),
        )


class Refitted(StudyStrategy):
    """A strategy whose model is made anew for each batch, from what is worth fitting of the history.

    The cost of a proposal grows with what is fitted. What is learnt comes from the best trials and from where the
    others lie, and of those a sample says as much as all.
    """

    asks_ahead = True
    most_fitted: ClassVar[int] = 200
    """Trials in a model at most."""
    most_best: ClassVar[int] = 25
    """As many of them are the best."""
    first: ClassVar[int] = 32
    """Finished trials before anything is fitted; until then configurations come from a Sobol sequence."""

    def __init__(self, space: Space, *, goal: Goal, seed: int) -> None:
        super().__init__(space, goal=goal, seed=seed)
        self._sequence = Qmc(space, seed=seed)
        self._generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, 7))))
        self._history: list[Told] = []
        self._running: dict[Any, Configuration] = {}

    @abstractmethod
    def _proposer(
        self, fitted: Sequence[Told], running: Sequence[Configuration]
    ) -> Callable[[], dict[str, Any] | None]:
        """What proposes a configuration, after what was told, beside those in training; None where it finds none."""

    def ask(self, n: int, running: Sequence[Configuration] = ()) -> list[dict[str, Any]]:
        """`n` new configurations."""
        self._unseen.note(running)
        complete = [told for told in self._history if told.values is not None]
        if len(complete) < self.first:
            asked = self._unseen.draw(n, lambda: next(iter(self._sequence.ask(1)), None))
        else:
            propose = self._proposer(self._worth_fitting(), [*running, *self._running.values()])
            asked = self._unseen.draw(n, propose)
        self._running |= {self._space.key(one): one for one in asked}
        return asked

    def tell(self, finished: Sequence[Trial]) -> None:
        """Adds trials to the history."""
        self._unseen.note([trial.configuration for trial in finished])
        for trial in finished:
            self._running.pop(self._space.key(trial.configuration), None)
            self._history.append(Told(configuration=trial.configuration, values=self._goal.values(trial)))

    def _worth_fitting(self) -> list[Told]:
        """The history; of a long one the best trials and a random sample of the others."""
        if len(self._history) <= self.most_fitted:
            return self._history
        ranks = self._ranks()
        order = np.argsort(ranks, kind="stable")
        others = self._generator.choice(order[self.most_best :], self.most_fitted - self.most_best, replace=False)
        return [self._history[place] for place in sorted([*order[: self.most_best].tolist(), *others.tolist()])]

    def _ranks(self) -> Array:
        """`(trial,)`, the least is the best: its rank, or with several objectives the sum of its ranks."""
        total = np.zeros(len(self._history))
        for place, (_, direction) in enumerate(self._goal.objectives):
            sign = -sign_of(direction)
            values = np.array([np.inf if told.values is None else sign * told.values[place] for told in self._history])
            total += np.argsort(np.argsort(values, kind="stable"), kind="stable")
        return total


class Lasting(StudyStrategy):
    """A strategy whose sampler keeps its state in one study: generations, or a covariance matrix."""

    def __init__(self, space: Space, *, goal: Goal, seed: int) -> None:
        super().__init__(space, goal=goal, seed=seed)
        self._numbers: dict[Any, int] = {}
        self._open: Study | None = None

    @abstractmethod
    def _begun(self) -> Study | None:
        """The study; None as long as nothing can be learnt."""

    @abstractmethod
    def _otherwise(self) -> dict[str, Any] | None:
        """A configuration as long as there is no study."""

    def ask(self, n: int, running: Sequence[Configuration] = ()) -> list[dict[str, Any]]:
        """`n` new configurations."""
        self._unseen.note(running)
        study = self._begun()
        return self._unseen.draw(n, self._otherwise if study is None else lambda: self._suggest(study))

    def _suggest(self, study: Study) -> dict[str, Any]:
        from optuna.trial import TrialState

        trial = study.ask()
        configuration = self._codec.suggest(trial)
        if configuration in self._unseen:
            study.tell(trial, state=TrialState.FAIL)
        else:
            self._numbers[self._space.key(configuration)] = trial.number
        return configuration

    def _tell(self, study: Study, told: Told) -> None:
        from optuna.trial import TrialState

        number = self._numbers.pop(self._space.key(told.configuration), None)
        if number is None:  # given by the user, or drawn from what was left
            study.add_trial(self._frozen(told))
        elif told.values is None:
            study.tell(number, state=TrialState.FAIL)
        else:
            study.tell(number, told.values)
