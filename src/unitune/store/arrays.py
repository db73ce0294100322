"""Arrays as bytes: safetensors, which holds numbers only and runs nothing when it is read, compressed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from unitune.errors import RunFolderError
from unitune.records import Array

# Histories are noisy floats: higher levels take three times as long for one percent.
LEVEL = 1


def pack(arrays: Mapping[str, Array]) -> bytes:
    """Arrays as bytes.

    Args:
        arrays: From a name to numbers or booleans of any shape.

    Example:
        >>> unpack(pack({"loss": np.array([0.5, 0.25])}))["loss"].tolist()
        [0.5, 0.25]
    """
    from safetensors.numpy import save

    return zlib.compress(save({name: np.asarray(values, order="C") for name, values in arrays.items()}), LEVEL)


def unpack(content: bytes) -> dict[str, Array]:
    """The arrays that `pack` wrote; each may be written to.

    Raises:
        RunFolderError: The bytes are something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return {name: np.array(values) for name, values in load(zlib.decompress(content)).items()}
    except (zlib.error, SafetensorError, KeyError, ValueError) as error:
        raise RunFolderError(
            "A store must hold what Unitune recorded there",
            f"arrays in it cannot be read ({type(error).__name__})",
            "It was changed; run the search again.",
        ) from error
