"""How a run tells what it is doing: a bar on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import html
import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from unitune.errors import OptionError
from unitune.models.metrics import ATTAINABLE
from unitune.records import Member, Trial, counted

SECONDS_BETWEEN_LINES = 5.0
SECONDS_BETWEEN_BARS = 0.2
TOGETHER_S = 0.1
PHASES = {
    "stopping": "stopping after the networks in training; Ctrl-C again stops at once",
    "repeats": "repeating the trials that may be the best",
    "references": "training simpler models",
    "refit": "refitting the best on all rows",
    "save": "saving",
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is about to do.

    Attributes:
        objective: The metric that ranks the trials.
        direction: Whether it is minimised or maximised.
        n_trials: How many trials at most; None where nobody knows.
        members_per_trial: Folds times repeats.
        strategy, engine: Their names.
        evaluation: How the rows are split, in words: `"5 folds"`.
        notes: What was inferred from the data, as sentences.
    """

    objective: str
    direction: str
    n_trials: int | None
    members_per_trial: int
    strategy: str
    engine: str
    evaluation: str
    notes: tuple[str, ...] = ()

    def count(self, trials: int) -> str:
        """How many trials there are so far: `"3/20 trials"`, or `"3 trials"` where nobody knows of how many."""
        return counted(trials, "trial") if self.n_trials is None else f"{trials:,}/{counted(self.n_trials, 'trial')}"

    @property
    def n_members(self) -> int | None:
        """How many members at most."""
        return None if self.n_trials is None else self.n_trials * self.members_per_trial


class Listener:
    """Is told how a run goes. Override what is of interest; what is left does nothing.

    Example:
        >>> class Count(Listener):
        ...     n = 0
        ...     def on_trial(self, trial, best):
        ...         self.n += 1
        >>> count = Count()  # given as `callbacks=[count]`
    """

    def on_start(self, plan: Plan) -> None:
        """Called once, before the first member.

        Args:
            plan: How many trials and members, what ranks them, how rows are split.
        """

    def on_member(self, member: Member, failure: str) -> None:
        """Called for each member that was trained; `failure` is empty where all went well.

        Args:
            member: Its trial, fold, repeat and seed.
            failure: Why it failed.
        """

    def on_trial(self, trial: Trial, best: Trial | None) -> None:
        """Called for each finished trial; `best` is the best so far, or None where all failed.

        Args:
            trial: With its state, scores and costs.
            best: The best so far.
        """

    def on_phase(self, phase: str) -> None:
        """Called when something else begins that takes a while: `"repeats"`, `"references"`, `"refit"` or `"save"`.

        Args:
            phase: Its name.
        """

    def on_end(self) -> None:
        """Called once, whatever happened, when nothing more will come."""


def score_text(trial: Trial | None, metric: str) -> str:
    """The score of a trial with the longer arm of its interval, where that says something: `accuracy 0.974 ± 0.012`."""
    if trial is None or trial.state != "complete":
        return f"{metric} –"
    score = trial.scores[metric]
    half = max(score.high - score.mean, score.mean - score.low)
    low, high = ATTAINABLE.get(metric, (-math.inf, math.inf))
    known = half > 0 and 2 * half < high - low
    return f"{metric} {score.mean:.4g}" + (f" ± {half:.2g}" if known else "")


def describe(plan: Plan) -> str:
    """The plan in one sentence."""
    trials = "" if plan.n_trials is None else f"{counted(plan.n_trials, 'trial')} × "
    members = "" if plan.n_members is None else f" = {counted(plan.n_members, 'network')}"
    aim = "highest" if plan.direction == "maximize" else "lowest"
    return f"{trials}{plan.evaluation}{members}; strategy: {plan.strategy}; the {aim} {plan.objective} wins."


class Pace:
    """How long the rest takes, going by the members that came after the first ones, which waited for the compiler."""

    def __init__(self) -> None:
        self._members = self._first = 0
        self._first_at = self._last_at = 0.0

    def note(self, now: float) -> None:
        """A member is there; members come many at once."""
        self._members += 1
        if self._members == self._first + 1 and (not self._first or now - self._first_at < TOGETHER_S):
            self._first, self._first_at = self._members, now
        self._last_at = now

    def left(self, n_members: int | None) -> str:
        """The time left in words; empty where it is not known, or nothing is left.

        Example:
            >>> pace = Pace()
            >>> for second in (10, 10, 12, 14):
            ...     pace.note(second)
            >>> pace.left(10)
            'about 12 s left'
        """
        after = self._members - self._first
        if not n_members or not after or self._members >= n_members:
            return ""
        left = (self._last_at - self._first_at) / after * (n_members - self._members)
        return f"about {left:.0f} s left"


class Bar(Listener):
    """A bar for a terminal: members done, trials, time left and the best so far.

    Args:
        console: Where it is drawn.
        words: What notes are turned into.
    """

    def __init__(self, console: Console, *, words: Callable[[str], str] = str) -> None:
        self._console = console
        self._words = words
        self._plan: Plan | None = None
        self._trials = 0
        self._progress: Progress | None = None
        self._task: Any = None
        self._pace = Pace()

    def on_start(self, plan: Plan) -> None:
        """Prints the notes and the plan, and draws the bar."""
        self._plan = plan
        for note in plan.notes:
            self._console.print(f"[dim]·[/dim] {_escape(self._words(note))}", highlight=False)
        self._console.print(_escape(describe(plan)), highlight=False)
        self._progress = Progress(
            TextColumn("{task.fields[trials]}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("networks"),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[best]}"),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=plan.n_members, trials=plan.count(0), best="", left="compiling")
        self._progress.start()

    def on_member(self, member: Member, failure: str) -> None:
        """Moves the bar."""
        self._pace.note(time.monotonic())
        if self._progress is not None and self._plan is not None:
            self._progress.update(self._task, advance=1, left=self._pace.left(self._plan.n_members))

    def on_trial(self, trial: Trial, best: Trial | None) -> None:
        """Counts the trial and shows the best."""
        self._trials += 1
        if self._progress is not None and self._plan is not None:
            best_text = f"best {score_text(best, self._plan.objective)}"
            self._progress.update(self._task, trials=self._plan.count(self._trials), best=best_text)

    def on_phase(self, phase: str) -> None:
        """Says what is done now that the members are."""
        if self._progress is not None:
            self._progress.update(self._task, best=PHASES.get(phase, phase))

    def on_end(self) -> None:
        """Takes the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class Cell(Listener):
    """A bar below a cell of a notebook, which changes in place; it ends as one line.

    Args:
        words: What notes are turned into.
    """

    def __init__(self, *, words: Callable[[str], str] = str) -> None:
        self._words = words
        self._plan: Plan | None = None
        self._handle: Any = None
        self._trials = self._members = 0
        self._started = self._last = 0.0
        self._phase = "compiling"
        self._best: Trial | None = None
        self._pace = Pace()

    def on_start(self, plan: Plan) -> None:
        """Shows the notes and the plan, and the bar below."""
        from IPython.display import HTML, display

        self._plan = plan
        lines = [*map(self._words, plan.notes), describe(plan)]
        display(HTML("<br>".join(f"<small>{html.escape(line)}</small>" for line in lines)))
        self._started = self._last = time.monotonic()
        self._handle = display(HTML(self._bar()), display_id=True)

    def on_member(self, member: Member, failure: str) -> None:
        """Moves the bar."""
        self._members += 1
        self._pace.note(time.monotonic())
        self._phase = self._pace.left(self._plan.n_members if self._plan else None)
        if time.monotonic() - self._last >= SECONDS_BETWEEN_BARS:
            self._show()

    def on_trial(self, trial: Trial, best: Trial | None) -> None:
        """Counts the trial and notes the best."""
        self._trials += 1
        self._best = best

    def on_phase(self, phase: str) -> None:
        """Says what is done now that the members are."""
        self._phase = PHASES.get(phase, phase)
        self._show()

    def on_end(self) -> None:
        """Leaves one line."""
        self._phase = ""
        self._show()

    def _show(self) -> None:
        from IPython.display import HTML

        self._last = time.monotonic()
        if self._handle is not None:
            self._handle.update(HTML(self._bar()))

    def _bar(self) -> str:
        assert self._plan is not None
        total = self._plan.n_members
        place = f'value="{self._members}" max="{total}"' if total else ""
        parts = [
            self._plan.count(self._trials),
            counted(self._members, "network"),
            f"{time.monotonic() - self._started:.0f} s",
            self._phase,
        ]
        if self._best is not None:
            parts.append(f"best {score_text(self._best, self._plan.objective)}")
        text = html.escape(", ".join(part for part in parts if part))
        return f'<progress {place} style="width: 20em; vertical-align: middle"></progress> {text}'


class Lines(Listener):
    """A plain line now and then, for logs and pipes.

    Args:
        console: Where the lines go.
        every_s: Seconds between two lines at least.
        words: What notes are turned into.
    """

    def __init__(
        self, console: Console, *, every_s: float = SECONDS_BETWEEN_LINES, words: Callable[[str], str] = str
    ) -> None:
        self._words = words
        self._console = console
        self._every_s = every_s
        self._plan: Plan | None = None
        self._trials = self._members = 0
        self._started = self._last = 0.0
        self._pace = Pace()
        self._best: Trial | None = None
        self._told = 0

    def on_start(self, plan: Plan) -> None:
        """Prints the notes and the plan."""
        self._plan = plan
        for note in plan.notes:
            self._say(self._words(note))
        self._say(describe(plan))
        self._started = self._last = time.monotonic()

    def on_member(self, member: Member, failure: str) -> None:
        """Prints a line if it is time for one, of what came before: members come many at once."""
        now = time.monotonic()
        if now - self._last >= self._every_s:
            self._line()
        self._members += 1
        self._pace.note(now)

    def on_trial(self, trial: Trial, best: Trial | None) -> None:
        """Notes the best."""
        self._trials += 1
        self._best = best

    def on_phase(self, phase: str) -> None:
        """Prints a line of all networks before the first phase after them, and one for the phase."""
        self._finish()
        self._say(PHASES.get(phase, phase))

    def on_end(self) -> None:
        """Prints the last line, where nothing came after the networks."""
        self._finish()

    def _finish(self) -> None:
        if self._plan is not None and self._members != self._told:
            self._line()

    def _line(self) -> None:
        assert self._plan is not None
        self._last = time.monotonic()
        self._told = self._members
        elapsed = self._last - self._started
        trials = self._plan.count(self._trials)
        if not self._members:
            self._say(f"{trials}, {elapsed:.0f} s: compiling, and training the first networks")
            return
        left = self._pace.left(self._plan.n_members)
        self._say(
            f"{trials}, {counted(self._members, 'network')}, {elapsed:.0f} s{left and f', {left}'}, "
            f"best {score_text(self._best, self._plan.objective)}"
        )

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def make_progress(progress: bool, *, file: IO[str] | None = None, words: Callable[[str], str] = str) -> list[Listener]:
    """A bar in a notebook and where standard error is a terminal, else lines; nothing without `progress`.

    Outside of notebooks it goes to standard error, so that standard output stays free for results. `words` turns notes
    into what is printed.
    """
    if not progress:
        return []
    if in_notebook():
        return [Cell(words=words)]
    console = Console(file=file, stderr=file is None)
    return [Bar(console, words=words) if console.is_terminal else Lines(console, words=words)]


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return shell is not None and hasattr(shell, "kernel")


def all_listeners(progress: bool, callbacks: Iterable[Listener]) -> list[Listener]:
    """The user's listeners, after one that shows the progress, if that is wanted.

    Raises:
        OptionError: One is no `Listener`; callbacks of Keras are named as such.
    """
    if isinstance(callbacks, Listener):
        callbacks = (callbacks,)
    if not isinstance(callbacks, Iterable):
        raise OptionError("`callbacks` must be a list of `unitune.Listener` objects", f"got `{callbacks!r}`")
    listeners = list(callbacks)
    for one in listeners:
        if isinstance(one, Listener):
            continue
        remedy = "Derive your class from `unitune.Listener`."
        if any(kind.__module__.partition(".")[0] == "keras" for kind in type(one).__mro__):
            remedy = (
                "Callbacks of Keras belong to one `fit`: give them in `HyperModel.fit`, or use `patience=` for early "
                "stopping; `unitune.RandomSearch(...).search(..., callbacks=[...])` takes them for all trials."
            )
        raise OptionError(
            "`callbacks` must hold `unitune.Listener` objects", f"got one of `{type(one).__name__}`", remedy
        )
    return [*make_progress(progress), *listeners]


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
