"""Messages of the library, as the command line has them."""

import typer

from unitune.cli import words
from unitune.cli.app import app


def test_advice_and_notes_name_the_flags_of_the_command_line():
    words.known_commands(typer.main.get_command(app).commands, "tune")
    try:
        assert words.advice_with_flags("Try `units=[8, 16]`.") == "Try `--units 8,16`."
        several = "Try `epochs=200, patience=20`; see `clipnorm` and `activations=['relu', 'gelu']`."
        assert words.advice_with_flags(several) == (
            "Try `--epochs 200 --patience 20`; see `clipnorm` and `--activations relu,gelu`."
        )
        assert words.advice_with_flags("Use `patience` there.") == "Use `--patience` there."
        assert words.notes_with_flags("Column `folds` is read as numbers; `folds=2` has more.") == (
            "Column `folds` is read as numbers; `--folds 2` has more."
        )
    finally:
        words.known_commands({}, None)
    assert words.advice_with_flags("Use `patience` there.") == "Use `patience` there."
