"""Code of the user's own that trains a model, as far as the training: it waits there until a batch of trials is ready.

Each such call has a stack of its own (a greenlet), on the thread of the search: code that may run on the main thread
only, as handlers of signals, works as in any other search.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet

PARTS_OF_TRAINING = ("EarlyStopping", "ReduceLROnPlateau", "LearningRateScheduler", "TerminateOnNaN")


class Abandoned(BaseException):
    """Unwinds the user's code. Not an `Exception`, which that code may catch."""


class Waiting:
    """A call of the user's code.

    Args:
        function: What is called.

    Attributes:
        request: The arguments with which it asked for a training; None before, and where it never does.
        result, error: What it returned, or raised.
        finished: Whether it has.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self.request: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.finished = False
        self._function = function
        self._stack = greenlet(self._run)

    def start(self) -> None:
        """Runs it until it asks for a training or ends."""
        self._stack.switch()

    def wait(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Called within: asks for a training, and comes back with the answer."""
        self.request = (args, kwargs)
        return getcurrent().parent.switch()

    def go_on(self, answer: Any) -> Any:
        """Lets it go on with this answer, to its end.

        Returns:
            What it returned; where it raised, so does this.
        """
        if not self.finished:
            self._stack.switch(answer)
        if self.error is not None:
            raise self.error
        return self.result

    def abandon(self) -> None:
        """Ends it where it waits."""
        if not self.finished:
            self._stack.throw(Abandoned())

    def _run(self) -> None:
        try:
            self.result = self._function()
        except BaseException as error:
            self.error = error
        self.finished = True


class UserFit(Waiting):
    """The user's own `HyperModel.fit`, up to its call of `model.fit` and on from there.

    Args:
        model: The model that it is given.
        function: Calls it.

    Attributes:
        refitted: Whether it went on to train a model that a program had trained, so that Keras trained it after all.
    """

    def __init__(self, model: Any, function: Callable[[], Any]) -> None:
        super().__init__(function)
        self.model = model
        self.refitted = False
        self._weights: list[Any] = []
        self._optimizer: Any = None

    def start(self) -> None:
        """Runs it until it calls `model.fit` or ends."""
        self.model.fit = self._fit
        super().start()
        self.model.__dict__.pop("fit", None)

    def train(self) -> Any:
        """Lets it go on with `fit` itself."""
        return self.go_on(None)

    def trained(self, history: Any, weights: Any) -> Any:
        """Lets it go on with a history, and these weights in its model."""
        self._weights, self._optimizer = self.model.get_weights(), self.model.optimizer
        self.model.set_weights(weights)
        self.model.fit = self._again
        try:
            return self.go_on(history)
        finally:
            self.model.__dict__.pop("fit", None)

    def _fit(self, *args: Any, **kwargs: Any) -> Any:
        self.model.__dict__.pop("fit", None)  # the model is read now, and a `fit` of its own is not to be fused
        history = self.wait(args, kwargs)
        return self.model.fit(*args, **kwargs) if history is None else history

    def _again(self, *args: Any, **kwargs: Any) -> Any:
        """Another training of a model: where it goes on with the optimizer of the first, that is made up for."""
        self.model.__dict__.pop("fit", None)
        if self.model.optimizer is self._optimizer and self.request is not None:
            self.refitted = True
            first, named = self.request
            callbacks = named.get("callbacks") or []
            own = [copy.deepcopy(one) for one in callbacks if type(one).__name__ in PARTS_OF_TRAINING]
            self.model.set_weights(self._weights)
            self.model.fit(*first, **{**named, "callbacks": own, "verbose": 0})
        return self.model.fit(*args, **kwargs)
