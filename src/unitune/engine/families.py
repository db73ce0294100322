"""Which members are laid into one program although they lack some of its layers, or have other optimizers.

Members that share a program as they are form a group. Groups of a family can share one that is as deep as the deepest
of them, and updates each member as its own optimizer does. That costs arithmetic, which absent layers do in vain, and
saves compiling; so groups are put together wherever it saves more than it costs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unitune.engine.cost import compile_cost, member_cost
from unitune.engine.graph import Reading
from unitune.engine.lift.base import Key, Node
from unitune.engine.lift.optimizer import same_program
from unitune.engine.program_key import ProgramKey
from unitune.engine.stretch import joined_template, kind_of, laid_out
from unitune.records import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Cluster:
    """Members of a family that are to share programs, or a program that there is.

    Attributes:
        nodes: The layers of the program.
        members: The numbers of the jobs.
        readings: The networks among them, each once, laid out in these layers.
        steps: `(reading,)`, the steps of all members with that network.
        widths: `(node,)`, at least as wide as any of them.
        functions: For each activation which there are.
        optimizers: Which there are.
        compiled: Whether there is such a program.
    """

    nodes: tuple[Node, ...]
    members: tuple[int, ...]
    readings: tuple[Reading, ...]
    steps: Array
    widths: Array
    functions: tuple[frozenset[Key], ...]
    optimizers: frozenset[Key]
    compiled: bool = False


class Families:
    """Puts groups together.

    Args:
        features, batch: Of the rows, as `member_cost` takes them.
        compile: Compiling a program, relative to `compile_cost`.
        probes: Whether programs have probes.
    """

    def __init__(self, features: tuple[int, ...], batch: int, *, compile: float, probes: bool) -> None:
        self._features, self._batch = features, batch
        self._compile, self._probes = compile, probes

    def clusters(
        self, readings: Sequence[Reading], steps: Mapping[int, int], known: Mapping[ProgramKey, tuple[Node, ...]]
    ) -> list[Cluster]:
        """The members of one family, put together.

        Args:
            readings: Of all jobs.
            steps: From a member's number to the steps that it trains.
            known: Programs of the family that were planned before, and their layers.
        """
        groups: dict[Key, list[int]] = defaultdict(list)
        for index in steps:
            groups[readings[index].group].append(index)
        own = [_of_group(readings, members, steps) for members in groups.values()]
        own.sort(key=lambda cluster: -len(cluster.nodes))
        found = [_of_program(key, nodes) for key, nodes in known.items()]
        for cluster in own:
            best, best_gain = None, 0.0
            for place, other in enumerate(found):
                both = _together(other, cluster)
                if both is not None:
                    gain = self._cost(other) + self._cost(cluster) - self._cost(both)
                    if gain > best_gain:
                        best, best_gain = (place, both), gain
            if best is None:
                found.append(cluster)
            else:
                found[best[0]] = best[1]
        return [cluster for cluster in found if cluster.members]

    def _cost(self, cluster: Cluster) -> float:
        """Core seconds of compiling a cluster's program, where there is none, and of training in it."""
        n_functions = 1 + sum(len(functions) - 1 for functions in cluster.functions)
        step_s = member_cost(cluster.nodes, cluster.widths, self._features, self._batch)
        compile_s = self._compile * compile_cost(
            cluster.nodes, n_functions, probes=self._probes, n_optimizers=len(cluster.optimizers)
        )
        return float(step_s * cluster.steps.sum()) + (0.0 if cluster.compiled else compile_s)


def _of_group(readings: Sequence[Reading], members: Sequence[int], steps: Mapping[int, int]) -> Cluster:
    alike: dict[int, float] = defaultdict(float)
    for index in members:
        alike[id(readings[index])] += steps[index]
    first = {id(readings[index]): readings[index] for index in members}
    own = tuple(first[key] for key in alike)
    return Cluster(
        nodes=own[0].nodes,
        members=tuple(members),
        readings=own,
        steps=np.array(list(alike.values())),
        widths=np.array([reading.widths for reading in own]).max(axis=0),
        functions=tuple(frozenset(functions) for functions in zip(*(one.functions for one in own), strict=True)),
        optimizers=frozenset(same_program(reading.optimizer) for reading in own),
    )


def _of_program(key: ProgramKey, nodes: tuple[Node, ...]) -> Cluster:
    return Cluster(
        nodes=nodes,
        members=(),
        readings=(),
        steps=np.zeros(0),
        widths=np.array([node.width for node in key.nodes]),
        functions=tuple(frozenset(node.functions) for node in key.nodes if node.kind == "Activation"),
        optimizers=frozenset(node.family for node in key.optimizers),
        compiled=True,
    )


def _together(one: Cluster, two: Cluster) -> Cluster | None:
    """Two clusters in one program; None where they have none in common."""
    kinds = [[kind_of(node) for node in cluster.nodes] for cluster in (one, two)]
    nodes = one.nodes if kinds[0] == kinds[1] else joined_template(one.nodes, two.nodes)
    if nodes is None:
        return None
    first, second = _laid(one, nodes), _laid(two, nodes)
    if first is None or second is None:
        return None
    widths = np.maximum(first.widths, second.widths)
    functions = tuple(a | b for a, b in zip(first.functions, second.functions, strict=True))
    optimizers = first.optimizers | second.optimizers
    same = bool((widths == first.widths).all()) and functions == first.functions and optimizers == first.optimizers
    return Cluster(
        nodes=nodes,
        members=one.members + two.members,
        readings=first.readings + second.readings,
        steps=np.concatenate([one.steps, two.steps]),
        widths=widths,
        functions=functions,
        optimizers=optimizers,
        compiled=one.compiled and same and len(nodes) == len(one.nodes),
    )


def _laid(cluster: Cluster, nodes: tuple[Node, ...]) -> Cluster | None:
    """A cluster in the layers of a template."""
    if len(nodes) == len(cluster.nodes):
        return cluster
    if cluster.compiled:
        return None  # it would have to be compiled anew, and so there is nothing in it
    laid = [laid_out(reading, nodes) for reading in cluster.readings]
    readings = tuple(reading for reading in laid if reading is not None)
    if len(readings) < len(laid):
        return None
    return replace(
        cluster,
        nodes=nodes,
        readings=readings,
        widths=np.array([reading.widths for reading in readings]).max(axis=0),
        functions=tuple(frozenset(functions) for functions in zip(*(one.functions for one in readings), strict=True)),
    )
