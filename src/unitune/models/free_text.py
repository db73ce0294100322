"""Free text as features: its words weighted by tf-idf, in NumPy and inside a Keras model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unitune.data.words import count_words
from unitune.records import Array

MOST_WORDS = 4000
"""Words of a column that are kept, at most: those in the most rows. Fewer cost accuracy where what tells is spread over
many rare words, and gain none elsewhere, since training ends where validation rows say so."""

LEAST_WORDS = 100
"""Words of a column that are kept in any case."""

MOST_CELLS = 25_000_000
"""Rows times words, at most: features are dense."""

_LEAST = 1e-12


@dataclass(frozen=True, kw_only=True)
class WordEncoding:
    """The words of a column, learnt on training rows.

    A row's features are `scale * w / |w|` with `w = count * idf`, so that the words of a text of usual length have
    values of about 1.

    Attributes:
        name: The column.
        vocabulary: Its words, the one in the most rows first.
        idf: `log((1 + rows) / (1 + rows with the word)) + 1` for each word, as scikit-learn has it.
        scale: The root of the mean number of different words in a row.
        flagged: Whether a further feature says that the text is missing.
    """

    name: str
    vocabulary: tuple[str, ...]
    idf: tuple[float, ...]
    scale: float
    flagged: bool

    @property
    def width(self) -> int:
        """How many features it makes."""
        return len(self.vocabulary) + self.flagged

    def features(self, counts: Any, dtype: str) -> Array:
        """Features `(row, word)` from the counts of the vocabulary's words, sparse or not."""
        weighted = np.asarray(counts.toarray(), dtype=dtype) * np.asarray(self.idf, dtype=dtype)
        length = np.sqrt(np.square(weighted).sum(axis=1, keepdims=True))
        return np.asarray(weighted * (self.scale / np.maximum(length, _LEAST)).astype(dtype))

    def graph(self, keras: Any, texts: Any, dtype: str, name: str) -> Any:
        """The same as Keras layers and operations, from strings `(row, 1)`."""
        ops = keras.ops
        layer = keras.layers.TextVectorization(
            output_mode="tf_idf", vocabulary=list(self.vocabulary), idf_weights=list(self.idf), name=name
        )
        weighted = ops.cast(layer(ops.squeeze(texts, axis=-1)), dtype)[
            :, 1:
        ]  # the first is for words that are not in the vocabulary
        length = ops.sqrt(ops.sum(ops.square(weighted), axis=1, keepdims=True))
        return weighted * (self.scale / ops.maximum(length, _LEAST))


def learn_words(name: str, cells: Array, counts: Any, words: Array, train_rows: Array) -> WordEncoding:
    """Learns the vocabulary and the weights of a column from training rows.

    Args:
        name: The column.
        cells: Text `(row,)`; empty where it is missing.
        counts, words: From `data.words.count_words`.
        train_rows: Row numbers.
    """
    seen = counts[train_rows] > 0
    rows = np.asarray(seen.sum(axis=0)).ravel()
    limit = max(LEAST_WORDS, min(MOST_WORDS, MOST_CELLS // max(1, len(cells))))
    # A word of a single row tells nothing about others.
    order = sorted(np.flatnonzero(rows > 1).tolist(), key=lambda word: (-rows[word], words[word]))[:limit]
    present = np.asarray(seen[:, order].sum(axis=1)).ravel() if order else np.zeros(1)
    return WordEncoding(
        name=name,
        vocabulary=tuple(words[order].tolist()),
        idf=tuple((np.log((1 + len(train_rows)) / (1 + rows[order])) + 1).tolist()),
        scale=float(np.sqrt(max(1.0, present[present > 0].mean() if present.any() else 1.0))),
        flagged=bool((cells[train_rows] == "").any()),
    )


def counted(encoding: WordEncoding, cells: Array) -> Any:
    """The counts of an encoding's words in other rows."""
    return count_words(cells, encoding.vocabulary)[0]
