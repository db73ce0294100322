"""`unitune tune`: tune a network on a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer

from unitune.cli import values
from unitune.cli.finish import finish

EPILOG = """
[bold]Examples[/]

unitune tune table.csv --target diagnosis --units 16,32,64,128,256 --activations relu,tanh,gelu --folds 5

unitune tune table.csv --target price --units 16:256:16 --learning-rates 1e-4:1e-2:log --strategy random --trials 50

unitune tune table.parquet --target label --layers 1,2,3 --per-layer --dropouts 0,0.2 --objective auc --time-limit 600

unitune tune table.csv --target sold --groups shop --config space.toml --json > summary.json

A value is one (64), a list (16,32,64) or a range (16:256:16, or 1e-4:1e-2:log).
"""


def _option(panel: str, text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False, **more)


WHAT, HOW, SEARCH, DATA, RUN = "What may vary", "How it is evaluated", "How it is searched", "The data", "The run"
SEPARATOR = "The separator of a CSV file; found by itself."
DECIMAL = "The decimal sign of a CSV file; found by itself."
ENCODING = "The encoding of a CSV file; found by itself."
HEADER = "Whether the first row holds the names of columns; found by itself."
Text = str | None
LOCAL = "local"
_ADDRESS = re.compile(r"(ray://)?[^\s/:\\]+:\d+")
OWN = ("table", "config", "ray", "watch", "as_json", "quiet")  # What is not handed on as it is.


def with_addresses(arguments: Sequence[str]) -> list[str]:
    """Command-line arguments in which every `--ray` has an address: one that stands alone means a local Ray.

    Example:
        >>> with_addresses(["table.csv", "--ray", "--trials", "9"])
        ['table.csv', '--ray', 'local', '--trials', '9']
        >>> with_addresses(["--ray", "head:6379", "table.csv"])
        ['--ray', 'head:6379', 'table.csv']
    """
    found = []
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        found.append(argument)
        if argument == "--ray" and following not in ("auto", LOCAL) and not _ADDRESS.fullmatch(following):
            found.append(LOCAL)
    return found


def command(
    context: typer.Context,
    table: Annotated[
        str, typer.Argument(help="A CSV, Parquet or Excel file, packed or not, or its address.", metavar="TABLE")
    ],
    target: Annotated[
        list[str] | None,
        _option(DATA, "The column to predict; given several times, several numbers.", "--target", "-t"),
    ] = None,
    ignore: Annotated[
        list[str] | None, _option(DATA, "A column that is left out; may be given several times.", metavar="COLUMN")
    ] = None,
    id: Annotated[
        list[str] | None,
        _option(DATA, "A column that is left out, and kept beside predictions.", metavar="COLUMN"),
    ] = None,
    units: Annotated[Text, _option(WHAT, "Units of a hidden layer: 16,32,64 or 16:256:16.", metavar="VALUES")] = None,
    activations: Annotated[Text, _option(WHAT, "Names of Keras activations: relu,tanh,gelu.", metavar="VALUES")] = None,
    layers: Annotated[Text, _option(WHAT, "How many hidden layers, 1 to 8.", metavar="VALUES")] = None,
    per_layer: Annotated[
        bool | None, _option(WHAT, "Units and activation of their own for each layer.", "--per-layer")
    ] = None,
    optimizers: Annotated[Text, _option(WHAT, "Names of Keras optimizers: adam,sgd.", metavar="VALUES")] = None,
    learning_rates: Annotated[
        Text, _option(WHAT, "Learning rates: 1e-3,1e-2 or 1e-4:1e-2:log.", metavar="VALUES")
    ] = None,
    schedules: Annotated[
        Text, _option(WHAT, "Learning-rate schedules: constant,cosine,plateau, ...", metavar="VALUES")
    ] = None,
    dropouts: Annotated[Text, _option(WHAT, "Dropout rates, from 0 to below 1.", metavar="VALUES")] = None,
    weight_decays: Annotated[Text, _option(WHAT, "Decoupled weight decay, as in AdamW.", metavar="VALUES")] = None,
    l1: Annotated[Text, _option(WHAT, "L1 penalties on the kernels.", metavar="VALUES")] = None,
    l2: Annotated[Text, _option(WHAT, "L2 penalties on the kernels.", metavar="VALUES")] = None,
    batch_normalization: Annotated[
        Text, _option(WHAT, "Batch normalization: true, false or true,false.", metavar="VALUES")
    ] = None,
    initializers: Annotated[
        Text, _option(WHAT, "Kernel initializers; auto suits the activation.", metavar="VALUES")
    ] = None,
    batch_sizes: Annotated[Text, _option(WHAT, "Rows per step.", metavar="VALUES")] = None,
    epochs: Annotated[
        Text, _option(WHAT, "Epochs at most; if not given, until it is learnt.", metavar="VALUES")
    ] = None,
    patience: Annotated[
        int | None, _option(WHAT, "Stop after so many epochs without improvement; best weights are kept.")
    ] = None,
    config: Annotated[Path | None, _option(WHAT, "A TOML file with any of these flags; flags overrule it.")] = None,
    task: Annotated[Text, _option(HOW, "binary, multiclass or regression; inferred from the target.")] = None,
    objective: Annotated[Text, _option(HOW, "The metric that ranks the trials: accuracy, auc, rmse, loss, ...")] = None,
    objectives: Annotated[
        Text, _option(HOW, "Several objectives: accuracy,parameters,seconds; the first ranks the trials.")
    ] = None,
    direction: Annotated[Text, _option(HOW, "minimize or maximize; follows from the objective.")] = None,
    folds: Annotated[int | None, _option(HOW, "Folds of the cross-validation, stratified for classes.")] = None,
    repeats: Annotated[int | None, _option(HOW, "Repeats of the cross-validation with other seeds.")] = None,
    cv: Annotated[Text, _option(HOW, "A splitter of scikit-learn: 'ShuffleSplit(n_splits=5, test_size=0.2)'.")] = None,
    groups: Annotated[Text, _option(HOW, "A column; its rows of one value stay in one fold.")] = None,
    time_ordered: Annotated[
        bool | None, _option(HOW, "Train on earlier rows, validate on later ones.", "--time-ordered")
    ] = None,
    validation_split: Annotated[float | None, _option(HOW, "Validate once, on this share of the rows.")] = None,
    validation_data: Annotated[Text, _option(HOW, "Validate once, on the rows of this table.")] = None,
    test_data: Annotated[Text, _option(HOW, "A table that is looked at once, at the end.")] = None,
    sample_weight: Annotated[Text, _option(HOW, "A column of weights.")] = None,
    class_weight: Annotated[Text, _option(HOW, "balanced, or weights: yes=2,no=1.")] = None,
    target_scale: Annotated[
        Text, _option(DATA, "auto, standard or log: the scale on which a number is learnt; predictions are in its own.")
    ] = None,
    normalize: Annotated[Text, _option(DATA, "auto, true or false: bring numbers to mean 0 and deviation 1.")] = None,
    separator: Annotated[Text, _option(DATA, SEPARATOR)] = None,
    decimal: Annotated[Text, _option(DATA, DECIMAL)] = None,
    encoding: Annotated[Text, _option(DATA, ENCODING)] = None,
    header: Annotated[bool | None, _option(DATA, HEADER, "--header/--no-header")] = None,
    strategy: Annotated[
        Text, _option(SEARCH, "grid, random, qmc, tpe, gp, cmaes, nsga2, racing, halving, ...; chosen by itself.")
    ] = None,
    baseline: Annotated[Text, _option(SEARCH, "Values of the first trial: units=64,activation=relu.")] = None,
    enqueue: Annotated[
        list[str] | None,
        _option(SEARCH, "A configuration that is trained first, like --baseline; may be given several times."),
    ] = None,
    warm_start: Annotated[
        Path | None, _option(SEARCH, "A run folder on the same rows, whose trials the strategy learns from.")
    ] = None,
    trials: Annotated[int | None, _option(SEARCH, "Trials at most.")] = None,
    member_limit: Annotated[int | None, _option(SEARCH, "Networks at most.")] = None,
    epoch_limit: Annotated[int | None, _option(SEARCH, "Epochs at most, over all networks.")] = None,
    target_score: Annotated[
        float | None, _option(SEARCH, "Begin no further trials once one has reached this score.")
    ] = None,
    time_limit_s: Annotated[
        float | None, _option(SEARCH, "Seconds at most; nothing is started that cannot end in time.", "--time-limit")
    ] = None,
    spend: Annotated[
        Text, _option(SEARCH, "repeats: what is left of the budget goes to repeats of those that may be the best.")
    ] = None,
    tolerance: Annotated[
        float | None,
        _option(SEARCH, "What may be given away for a cheaper network, in units of the objective; 0: nothing."),
    ] = None,
    nested: Annotated[int | None, _option(SEARCH, "Nested cross-validation with so many outer folds.")] = None,
    references: Annotated[
        Text, _option(SEARCH, "Simpler models to show beside the trials: majority,linear,boosting, auto or none.")
    ] = None,
    engine: Annotated[Text, _option(SEARCH, "auto, fused or solo.")] = None,
    ray: Annotated[
        Text,
        _option(
            SEARCH, "Train on a Ray cluster: HOST:PORT, or auto; without one, on a local Ray.", metavar="[ADDRESS]"
        ),
    ] = None,
    seed: Annotated[int | None, _option(RUN, "The seed of everything random.")] = None,
    out: Annotated[Path | None, _option(RUN, "Where run folders go; runs/ if not given.")] = None,
    name: Annotated[Text, _option(RUN, "The name of the run folder.")] = None,
    overwrite: Annotated[bool | None, _option(RUN, "Replace a run folder of this name.", "--overwrite")] = None,
    resume: Annotated[
        bool | None, _option(RUN, "Go on with the run of this name, or join it in a shared store.", "--resume")
    ] = None,
    store: Annotated[Text, _option(RUN, "The URL of a PostgreSQL database that keeps the run.", metavar="URL")] = None,
    keep: Annotated[
        int | None, _option(RUN, "Keep the weights of all networks of so many of the best trials in the store.")
    ] = None,
    watch: Annotated[bool, _option(RUN, "Open the dashboard while it goes on.", "--watch")] = False,
    as_json: Annotated[bool, _option(RUN, "Print the summary as JSON, and nothing else.", "--json")] = False,
    quiet: Annotated[bool, _option(RUN, "No progress.", "--quiet", "-q")] = False,
) -> None:
    """Tune a network on a table, and keep the recommended one."""
    settings = {key: value for key, value in context.params.items() if key not in OWN}
    given = {key: value for key, value in settings.items() if value not in (None, [], ())}
    if config is not None:
        given = values.configuration(config, settings) | given
    for key, read in values.READERS.items():
        if isinstance(given.get(key), str):
            given[key] = read(given[key])
        elif isinstance(given.get(key), list):  # a flag that was given several times
            given[key] = [read(one) if isinstance(one, str) and key == "enqueue" else one for one in given[key]]

    from unitune.tuner import tune

    if ray is not None:
        from unitune.execution.ray import Ray

        given["executor"] = Ray(address=None if ray == LOCAL else ray)
    given.setdefault("out", "runs")
    watchers = [watching(given)] if watch else []
    finish(
        lambda progress: tune(table, **given, progress=False, callbacks=[*progress, *watchers]),
        quiet=quiet,
        as_json=as_json,
    )


def watching(given: dict[str, Any]) -> Any:
    """What shows the run of these arguments in the browser; it gives the run a name if there is none."""
    import sys

    from unitune.result.dashboard import Watch
    from unitune.tuner.run import run_folder

    folder = run_folder(given["out"], given.get("name"))
    assert folder is not None
    given["name"] = folder.name

    def say(url: str) -> None:
        print(f"{url} (until the run has ended; then: unitune dashboard {folder})", file=sys.stderr, flush=True)
        typer.launch(url)

    return Watch(folder, say=say)
