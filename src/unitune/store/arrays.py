"""Arrays as bytes: safetensors, which holds numbers only and runs nothing when it is read; compressed if it pays."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from unitune.errors import RunFolderError
from unitune.records import Array

# Histories are noisy floats: higher levels take three times as long for one percent.
LEVEL = 1
ZEROS_THAT_PAY = 0.3
RAW, COMPRESSED = b"\x00", b"\x01"


def pack(arrays: Mapping[str, Array]) -> bytes:
    """Arrays as bytes: one that says whether the rest is compressed, and safetensors.

    Args:
        arrays: From a name to numbers or booleans of any shape.

    Example:
        >>> unpack(pack({"loss": np.array([0.5, 0.25])}))["loss"].tolist()
        [0.5, 0.25]
    """
    from safetensors.numpy import save

    content = save({name: np.asarray(values, order="C") for name, values in arrays.items()})
    # Zeros and missing epochs are worth it; mere floats take long and stay as large as they are.
    pays = content.count(0) > ZEROS_THAT_PAY * len(content)
    return COMPRESSED + zlib.compress(content, LEVEL) if pays else RAW + content


def unpack(content: bytes) -> dict[str, Array]:
    """The arrays that `pack` wrote; each may be written to.

    Raises:
        RunFolderError: The bytes are something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        plain = zlib.decompress(content[1:]) if content[:1] == COMPRESSED else content[1:]
        return {name: np.array(values) for name, values in load(plain).items()}
    except (zlib.error, SafetensorError, KeyError, ValueError) as error:
        raise RunFolderError(
            "A store must hold what Unitune recorded there",
            f"arrays in it cannot be read ({type(error).__name__})",
            "It was changed; run the search again.",
        ) from error
