"""Functions run by actors of a Ray cluster, on this machine or on many.

An actor lives as long as the pool: it keeps what it has compiled and the data that calls share, which crosses once to
each of them through the object store of its node. Source: Moritz et al., "Ray: A Distributed Framework for Emerging AI
Applications", OSDI (2018).
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unitune.errors import OptionError, TrainingError
from unitune.execution.cluster import check_shippable, connect, first_line, import_ray, is_systems

logger = logging.getLogger(__name__)

START_S = 180.0
POLL_S = 0.5
SETTLE_S = 0.5
# How many calls an actor has, the running one included, while there are many: it never waits for the driver. Towards
# the end each has one, lest a slow node keep calls that a fast one could run.
CALLS_AT_ONCE = 2


@dataclass(frozen=True, kw_only=True)
class Ray:
    """How a search uses Ray.

    Attributes:
        address: `"HOST:PORT"` of a cluster's head, `"ray://HOST:PORT"`, `"auto"` for the cluster of this machine; None
            starts a local one with this machine's cores, and ends it afterwards.
        num_cpus: Cores of each worker, above 0.
        num_gpus: GPUs of each worker; a fraction shares one, and its memory is capped to that fraction.
        workers: How many; as many as the cluster has room for if not given.
        max_retries: How often the members of a lost worker are trained again, 0 or more; then their trials fail.
        env: Environment variables of the workers.

    Raises:
        OptionError: A number out of its range.

    Example:
        >>> Ray(num_cpus=2).address is None
        True
    """

    address: str | None = None
    num_cpus: float = 1
    num_gpus: float = 0
    workers: int | None = None
    max_retries: int = 3
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, ok in (
            ("num_cpus", self.num_cpus, self.num_cpus > 0),
            ("num_gpus", self.num_gpus, self.num_gpus >= 0),
            ("workers", self.workers, self.workers is None or self.workers >= 1),
            ("max_retries", self.max_retries, self.max_retries >= 0),
        ):
            if not ok:
                raise OptionError(f"`Ray({name}=...)` is out of its range", f"got {value!r}")


@dataclass(eq=False)
class _Actor:
    """A worker as the driver sees it: `calls` are the references of what it was given and has not returned; `suspect`
    says that among them is one that was lost before."""

    handle: Any
    number: int
    ready: bool = False
    calls: set[Any] = field(default_factory=set)
    suspect: bool = False
    known: set[Hashable] = field(default_factory=set)


class RayPool:
    """Workers that run functions.

    Args:
        settings: Where, and how many.
        start: Runs once in each worker, before anything else, and returns what must be equal to `expected`.
        expected: For example the versions of what computes; a worker that differs is refused.
    """

    def __init__(
        self, settings: Ray, *, start: Callable[[], Mapping[str, str]], expected: Mapping[str, str] | None = None
    ) -> None:
        self._settings = settings
        self._start = start
        self._expected = dict(expected or {})
        self._own_cluster = False
        self._open = False
        self._actors: list[_Actor] = []
        self._pings: dict[Any, _Actor] = {}
        self._shared: dict[int, tuple[Any, Any]] = {}
        self._n_created = 0
        self.lost = 0

    @property
    def workers(self) -> int:
        """How many workers there are, or will be."""
        self._connect()
        return len(self._actors)

    def call(
        self,
        function: Callable[[Any, Any], Any],
        shared: Any,
        items: Sequence[tuple[Hashable, Any]],
        *,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Any, str]]:
        """Runs `function(shared, item)` for each item.

        Args:
            function: Importable by the workers, or one that cloudpickle can ship.
            shared: Sent once to each worker; the same object in a later call is not sent again.
            items: With each item a key: a worker prefers items of keys that it has had before.
            should_stop: When it turns true, nothing more is started, and what runs is still waited for.

        Yields:
            `(place, result, "")`, in any order; `(place, None, reason)` for an item whose worker was lost more often
            than `max_retries`.

        Raises:
            TrainingError: No worker could be started.
            OptionError: Something cannot be shipped, or a worker's versions differ.
        """
        import ray

        self._connect()
        where = self._put(shared)
        todo = _Queue([key for key, _ in items])
        attempts: Counter[int] = Counter()
        running: dict[Any, tuple[_Actor, int]] = {}
        last_ready = time.monotonic()
        stopped = False
        try:
            while todo or running:
                if not stopped and should_stop():
                    stopped = True
                    todo.clear()
                for actor in sorted((a for a in self._actors if a.ready), key=lambda a: len(a.calls)):
                    limit = CALLS_AT_ONCE if len(todo) > len(self._actors) else 1
                    while todo and len(actor.calls) < limit:
                        place = todo.pop(actor.known)
                        # What was lost before runs alone, lest it take others with it.
                        if actor.calls and (attempts[place] or actor.suspect):
                            todo.put_back(place)
                            break
                        actor.suspect = bool(attempts[place])
                        actor.known.add(items[place][0])
                        reference = self._submit(actor, function, where, items[place][1])
                        actor.calls.add(reference)
                        running[reference] = (actor, place)
                if not running and not todo:
                    break
                if any(actor.ready for actor in self._actors):
                    last_ready = time.monotonic()
                elif time.monotonic() - last_ready > START_S:
                    raise TrainingError(
                        f"No Ray worker could be started within {START_S:.0f} s: the cluster has no room for "
                        f"{self._settings.num_cpus:g} CPUs and {self._settings.num_gpus:g} GPUs."
                    )
                done, _ = ray.wait([*running, *self._pings], num_returns=1, timeout=POLL_S)
                for reference in done:
                    if reference in self._pings:
                        self._greet(reference)
                        continue
                    actor, place = running.pop(reference)
                    actor.calls.discard(reference)
                    try:
                        result = ray.get(reference)
                    except ray.exceptions.RayTaskError as error:
                        if not is_systems(error):
                            raise error.as_instanceof_cause() from None
                        result, reason = None, str(error.cause)
                    except ray.exceptions.RayError as error:
                        result, reason = None, first_line(error)
                        self._replace(actor)
                    else:
                        yield place, result, ""
                        continue
                    self.lost += 1
                    attempts[place] += 1
                    logger.warning("a call was lost (%s)", reason)
                    if stopped:
                        continue
                    if attempts[place] > self._settings.max_retries:
                        times = f"{attempts[place]} times"
                        yield place, None, f"the worker that trained it was lost {times}; the last reason: {reason}"
                    else:
                        todo.put_back(place)
        finally:
            for actor, _ in running.values():
                actor.calls.clear()
            for reference in running:
                with contextlib.suppress(Exception):
                    ray.cancel(reference)

    def close(self) -> None:
        """Ends the workers, and the cluster if it was started here."""
        if not self._open:
            return
        import ray

        for actor in self._actors:
            with contextlib.suppress(Exception):
                ray.kill(actor.handle)
        self._actors.clear()
        self._pings.clear()
        self._shared.clear()
        if self._own_cluster:
            # Ray 2.60 may crash the whole process where it answers the cluster about an actor while it shuts down.
            time.sleep(SETTLE_S)
            ray.shutdown()
        self._open = False

    # Workers ----------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        if self._open:
            return
        ray = import_ray()
        if not ray.is_initialized():
            connect(self._settings.address)
            self._own_cluster = True
        self._open = True
        try:
            for _ in range(self._room()):
                self._create()
        except BaseException:
            self.close()
            raise

    def _room(self) -> int:
        import ray

        settings, resources = self._settings, ray.cluster_resources()
        if settings.num_gpus and resources.get("GPU", 0.0) < settings.num_gpus:
            raise OptionError(
                f"`Ray(num_gpus={settings.num_gpus:g})` needs a cluster with a GPU",
                f"this one has {resources.get('GPU', 0.0):g}",
                "Leave `num_gpus` out, or add a node that has one.",
            )
        if resources.get("CPU", 0.0) < settings.num_cpus:
            raise OptionError(
                f"`Ray(num_cpus={settings.num_cpus:g})` needs a cluster with as many cores",
                f"this one has {resources.get('CPU', 0.0):g}",
            )
        if settings.workers is not None:
            return settings.workers
        # By node: a worker cannot take half of its cores from each of two.
        rooms = []
        for node in ray.nodes():
            if node["Alive"]:
                has = node["Resources"]
                room = has.get("CPU", 0.0) // settings.num_cpus
                if settings.num_gpus:
                    room = min(room, has.get("GPU", 0.0) // settings.num_gpus)
                rooms.append(int(room))
        return max(1, sum(rooms))

    def _create(self) -> None:
        import ray

        settings = self._settings
        remote = ray.remote(_Worker).options(
            num_cpus=settings.num_cpus, num_gpus=settings.num_gpus, runtime_env={"env_vars": dict(settings.env)}
        )
        actor = _Actor(handle=remote.remote(), number=self._n_created)
        self._n_created += 1
        self._actors.append(actor)
        self._pings[actor.handle.start.remote(self._start)] = actor

    def _replace(self, actor: _Actor) -> None:
        """A new worker in the place of a lost one; it starts as soon as some node has room."""
        import ray

        if actor in self._actors:
            self._actors.remove(actor)
            with contextlib.suppress(Exception):
                ray.kill(actor.handle)
            self._create()

    def _greet(self, reference: Any) -> None:
        """A worker has started, or could not."""
        import ray

        actor = self._pings.pop(reference)
        try:
            found = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except ray.exceptions.RayError as error:
            logger.warning("a worker was lost while it started (%s)", first_line(error))
            self._replace(actor)
            return
        different = [
            f"{name} {found.get(name, 'none')} (here {value})"
            for name, value in self._expected.items()
            if found.get(name) != value
        ]
        if different:
            raise OptionError(
                "every Ray worker must have this machine's versions",
                f"one has {', '.join(different)}",
                "Install the same versions on all nodes, from one constraints file or one image.",
            )
        actor.ready = True

    # What is sent -----------------------------------------------------------------------------------------------

    def _put(self, shared: Any) -> tuple[int, list[Any]]:
        """The key of a shared object and its reference, in a list: so it is not unpacked for every call."""
        import ray

        if id(shared) not in self._shared:
            check_shippable(shared)
            self._shared[id(shared)] = (shared, ray.put(shared))  # the object is held, so that its id stays its own
        return id(shared), [self._shared[id(shared)][1]]

    def _submit(self, actor: _Actor, function: Any, where: tuple[int, list[Any]], item: Any) -> Any:
        try:
            return actor.handle.call.remote(function, *where, item)
        except TypeError:
            check_shippable(item)
            raise


class _Worker:
    """What runs inside an actor."""

    def __init__(self) -> None:
        self._shared: dict[int, Any] = {}

    def start(self, function: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
        return function()

    def call(self, function: Callable[[Any, Any], Any], key: int, reference: list[Any], item: Any) -> Any:
        if key not in self._shared:
            import ray

            self._shared[key] = ray.get(reference[0])
        return function(self._shared[key], item)


class _Queue:
    """Places of items, handed out by key: first a key that the worker knows, else the one with most items left."""

    def __init__(self, keys: Sequence[Hashable]) -> None:
        self._keys = keys
        self._by_key: dict[Hashable, deque[int]] = defaultdict(deque)
        for place, key in enumerate(keys):
            self._by_key[key].append(place)
        self._left = len(keys)

    def __len__(self) -> int:
        return self._left

    def pop(self, known: set[Hashable]) -> int:
        usual = [key for key in self._by_key if key in known]
        key = max(usual or self._by_key, key=lambda key: len(self._by_key[key]))
        place = self._by_key[key].popleft()
        if not self._by_key[key]:
            del self._by_key[key]
        self._left -= 1
        return place

    def put_back(self, place: int) -> None:
        self._by_key[self._keys[place]].appendleft(place)
        self._left += 1

    def clear(self) -> None:
        self._by_key.clear()
        self._left = 0
