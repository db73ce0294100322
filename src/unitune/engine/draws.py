"""What layers draw at random in a step, for all members of a tile."""

from __future__ import annotations

import math
from dataclasses import dataclass

from unitune.engine.lift.base import ProgramNode, Tensor
from unitune.engine.lift.optimizer import shaped
from unitune.engine.program_key import Backend, ProgramKey, State
from unitune.models.shape_rules import Shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """The numbers that Keras itself would draw, of which `Context` has the methods.

    Attributes:
        key, backend: Of the program.
        hyper: The members' numbers, widths and seeds.
        rows: Of the batch.
        step: How often the layers were called before.
    """

    key: ProgramKey
    backend: Backend
    hyper: State
    rows: int
    step: Tensor

    def draw(
        self,
        distribution: str,
        node: ProgramNode,
        shape: Shape,
        *,
        along_width: bool = True,
        count: Tensor | None = None,
    ) -> Tensor:
        """`(member, batch, *shape)`, `"uniform"` or `"normal"`; zeros where no member of the tile needs any."""
        from keras import ops

        widths, units = self.hyper["widths"][node.index], self.hyper["units"].get(node.index)
        if not along_width:
            widths, units = ops.full_like(widths, shape[-1]), None
        generate = self.backend.uniform if distribution == "uniform" else self.backend.normal
        seeds, n = self.hyper["seeds"][node.index], self.rows * math.prod(shape[:-1])
        before = self.step if count is None else count
        full = (self.key.members, self.rows, *shape)

        def drawn() -> Tensor:
            return ops.reshape(generate(seeds, before, n, widths, shape[-1], self.key.dtype, units), full)

        # From a branch XLA takes the numbers as they are; otherwise it draws them anew in each kernel that reads them.
        strengths = [self.hyper["numbers"][node.index, name] for name in ("rate", "stddev") if name in node.used]
        wanted = ops.any(strengths[0] > 0) if strengths else ops.ones((), "bool")
        return self.backend.only_if(wanted, drawn, full, self.key.dtype)

    def keep(
        self,
        node: ProgramNode,
        shape: Shape,
        *,
        along_width: bool = True,
        rate: str = "rate",
        count: Tensor | None = None,
    ) -> Tensor:
        """Which inputs dropout keeps, `(member, batch, *shape)` bool."""
        uniform = self.draw("uniform", node, shape, along_width=along_width, count=count)
        return self.backend.keep(uniform, shaped(self.hyper["numbers"][node.index, rate], uniform))
