"""Draws the pictures of the gallery: `python docs/site/pictures.py`. Of a real run, of seconds."""

from pathlib import Path

from sklearn.datasets import load_breast_cancer

import unitune

IMAGES = Path(__file__).parents[1] / "images"
FIGURES = ("heatmap", "intervals", "learning_curves", "interplay", "marginals", "health_overview", "pareto")


def main() -> None:
    """The search of `unitune demo`, and its figures."""
    data = load_breast_cancer()
    result = unitune.tune(
        data.data,
        data.target_names[data.target],
        units=[16, 32, 64, 128, 256],
        activations=["relu", "tanh", "gelu", "sigmoid"],
        folds=5,
        progress=False,
    )
    for name in FIGURES:
        result.plot.save(name, IMAGES / f"{name}.svg")


if __name__ == "__main__":
    main()
