"""Bad input: exit code 2, one message with rule, value and remedy, no traceback, nothing written."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


def refuses(command: Command, *arguments: object, says: str | tuple[str, ...], keeps: set[Path] | None = None) -> str:
    """Checks that the command refuses its arguments properly; returns what it said."""
    before = set(Path.cwd().rglob("*"))
    done = command(*arguments)
    said = done.stderr
    assert done.exit_code == 2, (done.exit_code, done.output, done.exception)
    assert done.stdout == ""
    assert "Traceback" not in said
    assert said.count("Error") == 1
    for words in (says,) if isinstance(says, str) else says:
        assert re.search(words, said, re.IGNORECASE), said
    assert set(Path.cwd().rglob("*")) - before == set()
    return said


def write(name: str, text: str) -> Path:
    path = Path.cwd() / name
    path.write_text(text, encoding="utf-8")
    return path


def tune(table: Path, *more: object) -> tuple[object, ...]:
    return ("tune", table, "--target", "state", "--epochs", 1, *more)


def test_missing_file(unitune: Command) -> None:
    refuses(unitune, *tune(Path("nowhere.csv")), says="nowhere.csv")


@pytest.mark.parametrize("name", ["picture.csv", "picture.png", "picture.parquet"])
def test_not_a_table(unitune: Command, name: str) -> None:
    path = Path.cwd() / name
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\xff\xfe\x00")
    refuses(unitune, *tune(path), says=name)


def test_a_folder_is_no_table(unitune: Command, tmp_path: Path) -> None:
    refuses(unitune, *tune(tmp_path), says="folder|directory")


def test_unknown_target_lists_close_matches(unitune: Command, table: Path) -> None:
    refuses(unitune, "tune", table, "--target", "stat", says=("target", "'stat'", "did you mean `state`"))


def test_no_target(unitune: Command, table: Path) -> None:
    refuses(unitune, "tune", table, says="target")


@pytest.mark.parametrize("text", ["", "length,state\n"], ids=["no bytes", "no rows"])
def test_empty_table(unitune: Command, text: str) -> None:
    refuses(unitune, *tune(write("empty.csv", text)), says="empty|no rows|0 rows|at least")


def test_target_with_one_class(unitune: Command) -> None:
    path = write("one.csv", "length,state\n" + "".join(f"{row},open\n" for row in range(20)))
    refuses(unitune, *tune(path), says=("class", "open|1"))


def test_target_with_missing_values(unitune: Command) -> None:
    rows = [f"{row},{'' if row == 7 else 'open' if row % 2 else 'closed'}\n" for row in range(20)]
    refuses(unitune, *tune(write("gaps.csv", "length,state\n" + "".join(rows))), says=("state|target", "missing"))


def test_fewer_rows_of_a_class_than_folds(unitune: Command) -> None:
    rows = [f"{row},{'open' if row < 3 else 'closed'}\n" for row in range(40)]
    path = write("rare.csv", "length,state\n" + "".join(rows))
    refuses(unitune, *tune(path, "--folds", 5), says=("folds", "open", "3"))


@pytest.mark.parametrize(
    ("flag", "value", "meant"),
    [("--activations", "rleu", "relu"), ("--optimizers", "adma", "adam"), ("--objective", "acuracy", "accuracy")],
)
def test_unknown_name_lists_close_matches(unitune: Command, table: Path, flag: str, value: str, meant: str) -> None:
    refuses(unitune, *tune(table, flag, value), says=(value, f"did you mean.*`{meant}`"))


@pytest.mark.parametrize("flag", ["--schedules", "--initializers", "--strategy", "--engine", "--task", "--direction"])
def test_unknown_name(unitune: Command, table: Path, flag: str) -> None:
    refuses(unitune, *tune(table, flag, "nonsense"), says="nonsense")


@pytest.mark.parametrize("value", ["0", "16,0", "-8", "16.5", "0:64:16", "many"])
def test_units_are_positive_whole_numbers(unitune: Command, table: Path, value: str) -> None:
    refuses(unitune, *tune(table, f"--units={value}"), says="units")


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--learning-rates", "-0.1"),
        ("--learning-rates", "0"),
        ("--learning-rates", "0:0.1:log"),
        ("--dropouts", "-0.1"),
        ("--dropouts", "1"),
        ("--weight-decays", "-0.5"),
        ("--l1", "-1"),
        ("--l2", "-1"),
    ],
)
def test_rates_out_of_range(unitune: Command, table: Path, flag: str, value: str) -> None:
    refuses(unitune, *tune(table, f"{flag}={value}"), says=(f"`{flag}`", value.split(":")[0]))


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--layers", "0"),
        ("--layers", "9"),
        ("--batch-sizes", "0"),
        ("--epochs", "0"),
        ("--epochs", "1.5"),
        ("--patience", "-1"),
        ("--folds", "1"),
        ("--repeats", "0"),
        ("--trials", "0"),
        ("--time-limit", "-1"),
        ("--validation-split", "1.5"),
        ("--seed", "-1"),
    ],
)
def test_counts_out_of_range(unitune: Command, table: Path, flag: str, value: str) -> None:
    refuses(unitune, "tune", table, "--target", "state", f"{flag}={value}", says=value)


@pytest.mark.parametrize("value", ["", ",", " "])
def test_empty_list(unitune: Command, table: Path, value: str) -> None:
    refuses(unitune, *tune(table, "--units", value), says=("units", "empty|at least one|no value"))


@pytest.mark.parametrize("value", ["256:16:16", "16:32:-1", "16:32:0", "a:b", "1:2:3:4:5"])
def test_no_valid_configuration(unitune: Command, table: Path, value: str) -> None:
    refuses(unitune, *tune(table, "--units", value), says="units")


@pytest.mark.parametrize(
    "flags",
    [
        ("--folds", 5, "--validation-split", 0.2),
        ("--folds", 5, "--validation-data", "flowers.csv"),
        ("--validation-split", 0.2, "--validation-data", "flowers.csv"),
        ("--time-ordered", "--groups", "scented"),
    ],
)
def test_conflicting_flags(unitune: Command, table: Path, flags: tuple[object, ...]) -> None:
    named = [f"`{flag}`" for flag in flags if isinstance(flag, str) and flag.startswith("--")]
    refuses(unitune, *tune(table, *flags), says=tuple(named))


def test_messages_name_flags_and_never_python_arguments(unitune: Command, table: Path) -> None:
    said = refuses(unitune, *tune(table, "--task", "regression"), says="`--task`")
    assert "`task`" not in said
    refuses(unitune, *tune(table, "--time-limit", "-1"), says="`--time-limit` must be a number of at least 0")
    refuses(unitune, *tune(table, "--separator", "ab"), says="`--separator`")
    refuses(unitune, "tune", table, "--target", "state", "--ignore", "wdth", says=("`--ignore`", "`width`"))


def test_a_splitter_that_is_none_gets_its_close_match(unitune: Command, table: Path) -> None:
    refuses(unitune, *tune(table, "--cv", "ShuffleSplt(3)"), says=("`--cv`", "did you mean `ShuffleSplit`"))
    refuses(unitune, *tune(table, "--cv", "KFold(3)"), says=("`--cv`", r"`KFold\(n_splits=5\)`"))
    refuses(unitune, *tune(table, "--cv", "KFold(n_split=3)"), says=("`n_split`", "did you mean `n_splits`"))


def test_predictions_go_to_folders_that_are_there(unitune: Command, table: Path) -> None:
    refuses(unitune, "predict", "runs/a", table, "-o", "nowhere/p.csv", says=("`--output`", "no folder `nowhere`"))


def test_an_address_keeps_its_slashes(unitune: Command) -> None:
    refuses(unitune, *tune(Path("https://localhost:1/t.csv")), says="`https://localhost:1/t.csv`")


def test_unknown_column(unitune: Command, table: Path) -> None:
    refuses(unitune, *tune(table, "--groups", "color"), says=("color", "colour"))
    refuses(unitune, *tune(table, "--sample-weight", "wdth"), says=("wdth", "width"))


def test_class_weight_that_is_none(unitune: Command, table: Path) -> None:
    refuses(unitune, *tune(table, "--class-weight", "open=heavy"), says=("class-weight", "open=heavy"))
    refuses(unitune, *tune(table, "--class-weight", "ajar=2"), says=("`--class-weight`", "ajar"))


def test_folder_that_cannot_be_written(unitune: Command, table: Path) -> None:
    refuses(unitune, *tune(table, "--out", table / "runs"), says="flowers.csv")


def test_existing_run_is_kept(unitune: Command, table: Path) -> None:
    kept = Path.cwd() / "runs" / "mine" / "summary.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("precious")
    refuses(unitune, *tune(table, "--name", "mine"), says=("mine", "overwrite"))
    assert kept.read_text() == "precious"


@pytest.mark.parametrize(
    ("text", "says"),
    [("units = [16", "toml"), ("unit = [16]", "did you mean `units`"), ("[units]\nlow = 1", "units")],
)
def test_configuration_file(unitune: Command, table: Path, text: str, says: str) -> None:
    refuses(unitune, *tune(table, "--config", write("space.toml", text)), says=says)


def test_configuration_file_is_missing(unitune: Command, table: Path) -> None:
    refuses(unitune, *tune(table, "--config", "none.toml"), says="none.toml")


@pytest.mark.parametrize("arguments", [("show",), ("predict",), ("compare-runs", "runs/b")], ids=lambda words: words[0])
def test_run_that_is_not_there(unitune: Command, table: Path, arguments: tuple[str, ...]) -> None:
    name, *others = arguments
    more = (table, "-o", "out.csv") if name == "predict" else others
    refuses(unitune, name, "runs/a", *more, says="runs/a")


def test_folder_that_is_no_run(unitune: Command, tmp_path: Path) -> None:
    refuses(unitune, "show", tmp_path, says=("run", str(tmp_path)))


def test_from_the_shell(table: Path, tmp_path: Path) -> None:
    """The installed command, as a process of its own: nothing but the message, and no framework's noise."""
    before = set(tmp_path.iterdir())
    command = [Path(sys.executable).with_name("unitune"), "tune", table, "--target", "state", "--activations", "rleu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("Error: ")
    assert set(tmp_path.iterdir()) == before
