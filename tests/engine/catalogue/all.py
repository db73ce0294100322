"""All cases, in parts that take equally long, and which of them are tried in which face."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from catalogue import functions, layers, losses, metrics, optimizers
from catalogue.cases import Case

TABLES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, str]]] = {
    "losses": losses.TABLE,
    "metrics": metrics.TABLE,
    **functions.TABLES,
    **optimizers.TABLES,
    "layers": layers.TABLE,
}


SECOND, FIFTH, SIXTH, EIGHTH, SIXTEENTH = 2, 5, 6, 8, 16
GROUPED = ("activations", "metrics")
"""Kinds of which a case holds many."""


def parts() -> dict[str, tuple[str, ...]]:
    """From the name of a part to the kinds in it; each is trained by a process of its own."""
    most = tuple(kind for kind in TABLES if kind not in ("layers", "losses", "metrics"))
    return {"layers": ("layers",), "losses": ("losses", "metrics"), "others": most}


def all_cases(backend: str, *, full: bool = False) -> list[Case]:
    """Every case.

    Args:
        backend: On JAX, which compiles each network anew, only each fifth of what is fused is trained, beside layers,
            and each sixteenth of what is not.
        full: Everything through every face; else a case goes through one, the next one of its kind through the next.
    """
    jax = backend == "jax"
    found = [case for module in (losses, metrics, functions, optimizers, layers) for case in module.cases()]
    found = [case for case in found if not (jax and case.data == "text")]  # of which JAX has no tensors
    if full:
        return found
    seen: Counter[tuple[str, str, bool]] = Counter()
    chosen = []
    for case in found:
        key = (case.kind, case.variant, case.must_fuse)
        number = seen[key]
        seen[key] += 1
        if jax and not (case.must_fuse and case.calls):
            number, other = divmod(number, FIFTH if case.must_fuse else SIXTEENTH)
            if other:
                continue
        if not case.calls:  # else workers choose for those that share a network
            case = replace(case, faces=(case.faces[(number + jax) % len(case.faces)],))
        chosen.append(case)
    return chosen


def is_live(backend: str, cases: list[Case]) -> dict[str, bool]:
    """From the id of each case to whether `make test` trains it, or leaves it to `make test-all`.

    Of what is Keras's own each second of a kind is trained on TensorFlow, and all where a case holds many. Of a user's
    own of the same name, which is another class or function to whatever reads it, each eighth; on JAX, of what is fused
    each sixth layer.
    """
    seen: Counter[tuple[str, str, bool]] = Counter()
    found = {}
    for case in cases:
        key = (case.kind, case.variant, case.must_fuse)
        number = seen[key]
        seen[key] += 1
        own = case.variant in ("subclass", "function")
        step = EIGHTH if own else 1 if case.kind in GROUPED else SECOND
        if backend == "jax":
            step = SIXTH if case.must_fuse and case.calls else 0
        found[case.id] = step > 0 and number % step == 0
    return found
