"""`HyperModel`: a model-building function with a `fit` of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unitune.errors import OptionError
from unitune.space.hyperparameters import HyperParameters


class HyperModel:
    """Builds and fits the model of a trial. Override `build`, and `fit` where it has hyperparameters of its own.

    Args:
        name: For the user.
        tunable: Whether its hyperparameters are searched; otherwise `build` gets their defaults.

    Example:
        >>> import keras
        >>> from unitune import HyperParameters
        >>> class Wide(HyperModel):
        ...     def build(self, hp):
        ...         model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(hp.Int("units", 32, 64))])
        ...         model.compile("adam", "mse")
        ...         return model
        >>> Wide().build(HyperParameters()).count_params()
        96
    """

    def __init__(self, name: str | None = None, tunable: bool = True) -> None:
        self.name = name
        self.tunable = tunable
        self._build = self.build
        self.build = self._build_tunable  # type: ignore[method-assign]

    def build(self, hp: HyperParameters) -> Any:
        """Builds and compiles a model from the values in `hp`.

        Args:
            hp: Asked for values by name, which are those of this trial.
        """
        raise NotImplementedError

    def declare_hyperparameters(self, hp: HyperParameters) -> None:
        """Asks for hyperparameters before the first `build`; override it to fix their order.

        Args:
            hp: Where they are asked for.
        """

    def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Trains the model.

        Args:
            hp: The values of the trial; more may be asked for.
            model: What `build` returned.
            *args, **kwargs: What the search was given, with `callbacks` to be passed on to `model.fit`.

        Returns:
            What `model.fit` returned, a mapping from metrics to their values, or the objective as a number.
        """
        return model.fit(*args, **kwargs)

    def _build_tunable(self, hp: HyperParameters) -> Any:
        if self.tunable:
            return self._build(hp)
        # What it asks for stays out of the search; what was registered before keeps its value.
        return self._build(hp.copy())


class FunctionModel(HyperModel):
    """A model-building function as a `HyperModel`."""

    def __init__(self, function: Callable[[HyperParameters], Any], name: str | None = None) -> None:
        super().__init__(name=name)
        self._build = function  # type: ignore[assignment]


FunctionModel.__name__ = FunctionModel.__qualname__ = "DefaultHyperModel"  # as KerasTuner's users see it


def as_hypermodel(given: Any) -> HyperModel | None:
    """A `HyperModel` from what users pass: one, a function, or None.

    Raises:
        OptionError: It is something else.
    """
    if given is None or isinstance(given, HyperModel):
        return given
    if not isinstance(given, type) and all(
        hasattr(given, name) for name in ("build", "fit", "declare_hyperparameters")
    ):
        return given  # type: ignore[no-any-return]  # one of KerasTuner's own, which means the same
    if not callable(given):
        raise OptionError(
            "the `hypermodel` argument should be either a function of `hp` or a `HyperModel`",
            f"got {given!r}",
            "Write `def build_model(hp): ... return model`.",
        )
    return FunctionModel(given)


def overrides_fit(hypermodel: HyperModel) -> bool:
    """Whether it trains in a way of its own."""
    own = hypermodel.fit
    return not (own.__qualname__ == "HyperModel.fit" and own.__module__.split(".")[0] in ("unitune", "keras_tuner"))
