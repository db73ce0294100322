"""Twenty-four messy tables: each ends in a sound model, or in one message whose remedy works when it is followed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import unitune

pytestmark = pytest.mark.slow

N = 150
QUICK = {"units": [8], "activations": "relu", "learning_rates": 0.05, "batch_sizes": 16, "epochs": 6, "folds": 2}
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=N), RNG.normal(size=N)
SIDE = np.where(A > 0, "yes", "no")
PRICE = np.exp(7 + A)
WORDS = {"yes": ["lovely", "happy", "superb"], "no": ["awful", "broken", "angry"]}
SENTENCES = [
    " ".join(["the", "room", "was", *np.random.default_rng(i).choice(WORDS[s], 2)]) for i, s in enumerate(SIDE)
]


def frame(**more: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": A.round(3), "b": B.round(3), "y": SIDE} | more)


def csv(table: pd.DataFrame, **how: Any) -> str:
    return table.to_csv(index=False, **how)


def spoiled(values: Any, share: float = 0.04) -> list[str]:
    return ["unknown" if chance < share else str(v) for v, chance in zip(values, RNG.random(N), strict=True)]


R_ROWS = "".join(f'"{i + 1}" {a:.3f} {b:.3f} {s}\n' for i, (a, b, s) in enumerate(zip(A, B, SIDE, strict=True)))
EUROPE = "a;b;preis\n" + "".join(
    f"{a:.3f};{b:.3f};{p:,.2f}\n".translate(str.maketrans(",.", ".,")) for a, b, p in zip(A, B, PRICE, strict=True)
)
DAYS = pd.Timestamp("2020-06-01") + pd.to_timedelta((60 * A).round(), unit="D")
NUMBERED = pd.DataFrame({"0": A.round(3), "1": B.round(3), "2": (A > 0).astype(int)})

SOUND: dict[str, tuple[str, dict[str, Any]]] = {
    "row names of R": ("a b y\n" + R_ROWS, {"target": "y"}),
    "header of numbers": (csv(NUMBERED), {"target": "2"}),
    "sep= line, comma": ("sep=;\n" + csv(frame(), sep=";", decimal=","), {"target": "y"}),
    "title and comments": ("# by X\n# 2024\n" + csv(frame()), {"target": "y"}),
    "class called None": (csv(frame(y=np.where(A > 0, "None", "NA"))), {"target": "y"}),
    "European amounts": (EUROPE, {"target": "preis"}),
    "dollars": (csv(frame(y=[f"${p:,.0f}" for p in PRICE])), {"target": "y"}),
    "percent feature": (csv(frame(a=[f"{100 * a:.1f} %" for a in A])), {"target": "y"}),
    "a few words": (csv(frame(a=spoiled(A.round(3)))), {"target": "y"}),
    "dates in English": (csv(frame(a=[f"{d:%b %d, %Y}" for d in DAYS])), {"target": "y"}),
    "end of time": (
        csv(frame(until=["9999-12-31" if b > 1 else f"{d:%d/%m/%Y}" for d, b in zip(DAYS, B, strict=True)])),
        {"target": "y"},
    ),
    "a class of one row": (csv(frame(y=["rare", *SIDE[1:]])), {"target": "y"}),
    "free text": (csv(frame(a=[f"{s} {i}" for i, s in enumerate(SENTENCES)])), {"target": "y", "learning_rates": 0.01}),
    "header with a blank": (csv(frame()).replace(",y\n", ", y\n", 1), {"target": " y"}),
    "index without a name": (frame().to_csv(), {"target": "y"}),
    "a database's print": (
        "units of cm\n a | b | y \n---+---+---\n"
        + "".join(f" {a:.3f} cm | {b:.3f} | {s}\n" for a, b, s in zip(A, B, SIDE, strict=True))
        + f"({N} rows)\n",
        {"target": "y"},
    ),
    "files put together": (
        "'a','b','day','y'\n" * 2
        + "".join(
            f"'{a:.3f}','{b:.3f}','{d.day}. {'März' if d.month == 3 else 'Mai'} 2020','{s}'{',' if b > 1 else ''}\n"
            for a, b, d, s in zip(A, B, DAYS.where(DAYS.day < 29, DAYS[0]), SIDE, strict=True)
        ),
        {"target": "y"},
    ),
    "an id and a leak": (
        csv(frame(id=[f"{i:04d}" for i in range(N)], leak=SIDE)),
        {"target": "y", "id": "id", "ignore": "leak"},
    ),
}


def without(words: str, column: str) -> Callable[[Path], dict[str, Any]]:
    def follow(path: Path) -> dict[str, Any]:
        table = pd.read_csv(path, keep_default_na=False)
        table[~table[column].isin([words])].to_csv(path, index=False)
        return {}

    return follow


def without_line(line: str) -> Callable[[Path], dict[str, Any]]:
    def follow(path: Path) -> dict[str, Any]:
        path.write_text(path.read_text().replace(line, ""))
        return {}

    return follow


# What is refused: the table, the arguments, what the message says, and how its remedy is followed.
REFUSED: dict[str, tuple[str, dict[str, Any], str, Callable[[Path], dict[str, Any]]]] = {
    "no value in some rows": (
        csv(frame(y=np.where(B > 1.5, "", SIDE))),
        {"target": "y"},
        r"value in every row.*Drop these rows",
        without("", "y"),
    ),
    "amounts with words": (
        csv(frame(y=spoiled([f"{p:,.2f}" for p in PRICE]))),
        {"target": "y"},
        r"number in every row.*`unknown`.*Drop these rows",
        without("unknown", "y"),
    ),
    "names as the target": (
        csv(frame(name=[f"n{i}" for i in range(N)])),
        {"target": "name"},
        r"Take another column as target",
        lambda path: {"target": "y", "ignore": "name"},
    ),
    "one long row": (
        csv(frame()) + "0.1,0.2,yes,later\n",
        {"target": "y"},
        r"`0.1,0.2,yes,later` 4.*remove that line",
        without_line("0.1,0.2,yes,later\n"),
    ),
    "tildes": (csv(frame(), sep="~"), {"target": "y"}, r"only column is `a~b~y`", lambda path: {"separator": "~"}),
    "misspelt target": (csv(frame()), {"target": "Y "}, r"Did you mean `y`", lambda path: {"target": "y"}),
}


def is_sound(found: unitune.Result) -> bool:
    """Whether the model is better than one that knows no features, by far."""
    if found.run.task == "regression":
        return found.best.scores["r2"].mean > 0.3
    return found.best.scores["balanced_accuracy"].mean > 0.75


def tuned(path: Path, **arguments: Any) -> unitune.Result:
    return unitune.tune(path, progress=False, **(QUICK | arguments))


@pytest.mark.parametrize("name", SOUND)
def test_a_messy_table_ends_in_a_sound_model(tmp_path: Path, name: str) -> None:
    text, arguments = SOUND[name]
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    found = tuned(path, **arguments)
    assert is_sound(found), (found.table().to_string(), found.notes)
    assert len(found.predict(path)) == N


@pytest.mark.parametrize("name", REFUSED)
def test_a_message_has_a_remedy_that_works(tmp_path: Path, name: str) -> None:
    text, arguments, says, follow = REFUSED[name]
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(unitune.InputError, match=says):
        tuned(path, **arguments)
    assert is_sound(tuned(path, **(arguments | follow(path))))
