"""KerasTuner talks to other machines by protocol buffers; here machines share a run in another way, so there are none.

The module is there so that importing it is no error.
"""

from __future__ import annotations

from typing import Any


def get_proto() -> Any:
    """KerasTuner's generated messages.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("There are no protocol buffers here: `unitune.tune` spreads a search over machines.")
