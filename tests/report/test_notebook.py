"""What a cell of a notebook shows: a bar that changes in place, and answers that read as text."""

import ast
import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def run(cells: list[str], folder: Path) -> list[list[dict]]:
    """The outputs of cells that are run in a kernel."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return [cell.outputs for cell in notebook.cells]


def texts(outputs: list[dict], kind: str) -> str:
    return "\n".join(str(output.get("data", {}).get(kind, "")) for output in outputs)


def test_a_search_has_one_bar_and_its_answers_read_well(tmp_path):
    outputs = run(
        [
            "import numpy as np, unitune\n"
            "x = np.random.default_rng(0).normal(size=(80, 3)).astype('float32')\n"
            "y = np.where(x[:, 0] > 0, '<yes>', 'no')\n"
            "result = unitune.tune(x, y, units=[2, 4], activations=['relu'], epochs=2, folds=2)",
            "result.conclusion",
            "result.findings",
            "result.best",
            "result.estimate",
            "result",
        ],
        tmp_path,
    )
    search, conclusion, findings, best, estimate, whole = outputs
    bars = [one for one in search if "<progress" in texts([one], "text/html")]
    assert len(bars) == 1
    bar = texts(bars, "text/html")
    assert 'value="4" max="4"' in bar
    assert "2/2 trials, 4 networks" in bar
    assert "compiling" not in bar
    notes = texts(search, "text/html")
    assert "&lt;yes&gt;" in notes
    assert "<yes>" not in notes
    assert not [one for one in search if one.output_type == "stream"]
    assert texts(conclusion, "text/markdown").startswith("- ")
    assert "('" not in texts(conclusion, "text/plain")
    assert "Finding(" not in texts(findings, "text/plain")
    assert texts(best, "text/markdown").startswith("**Trial ")
    assert "| units | `" in texts(best, "text/markdown")
    assert "on new rows" in texts(estimate, "text/markdown")
    assert "<table" in texts(whole, "text/html")


@pytest.mark.parametrize(
    "path",
    [
        # The page for KerasTuner's users, whose Python runs among the examples, goes the same way.
        pytest.param(path, id=path.stem, marks=[pytest.mark.exhaustive] if path.stem == "from_keras_tuner" else [])
        for path in NOTEBOOKS
    ],
)
def test_the_notebooks_run_as_they_are_written(path, tmp_path):
    written = json.loads(path.read_text(encoding="utf-8"))
    cells = [cell for cell in written["cells"] if cell["cell_type"] == "code"]
    shown = [cell for cell in cells if isinstance(ast.parse("".join(cell["source"])).body[-1], ast.Expr)]
    assert len(shown) > 1
    assert all(cell["outputs"] for cell in shown), "a notebook is kept with its outputs"
    assert not [out for cell in cells for out in cell["outputs"] if out["output_type"] == "error"]
    run(["".join(cell["source"]) for cell in cells], tmp_path)
