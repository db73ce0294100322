"""The words of free text, as `keras.layers.TextVectorization` cuts them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from unitune.records import Array

# What `standardize="lower_and_strip_punctuation"` strips; it lowers letters of ASCII only.
_PUNCTUATION = re.compile(rb"[!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']")


def words_of(cell: str) -> list[str]:
    """A text's words, in lower case and without punctuation.

    Example:
        >>> words_of("It's good, really GOOD.")
        ['its', 'good', 'really', 'good']
    """
    plain = _PUNCTUATION.sub(b"", cell.encode("utf-8", "replace").lower())
    return [word.decode("utf-8", "replace") for word in plain.split()]


def count_words(cells: Array, words: Sequence[str] | None = None) -> tuple[Any, Array]:
    """How often each word stands in each text.

    Args:
        cells: Text `(row,)`.
        words: The words to count; None counts all.

    Returns:
        A sparse matrix `(row, word)`, and the words, sorted where none were given.
    """
    from scipy import sparse
    from sklearn.feature_extraction.text import CountVectorizer

    if words is not None and not len(words):
        return sparse.csr_matrix((len(cells), 0), dtype=np.float32), np.empty(0, dtype=object)
    counter = CountVectorizer(analyzer=words_of, dtype=np.float32, vocabulary=None if words is None else list(words))
    try:
        counts = counter.transform(cells) if words is not None else counter.fit_transform(cells)
    except ValueError:  # all of it is punctuation
        return sparse.csr_matrix((len(cells), 0), dtype=np.float32), np.empty(0, dtype=object)
    return counts, np.asarray(counter.get_feature_names_out(), dtype=object)
