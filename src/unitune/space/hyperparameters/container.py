"""`HyperParameters`: what `build_model(hp)` receives, with the space found so far and the values of one trial."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from unitune.errors import SpaceError
from unitune.space.domains import Fixed as FixedDomain
from unitune.space.hyperparameters.conditions import Parent
from unitune.space.hyperparameters.hyperparameter import HyperParameter
from unitune.space.hyperparameters.kinds import KINDS, Boolean, Choice, Fixed, Float, Int
from unitune.space.hyperparameters.listing import domain_of, named_groups, space_of
from unitune.space.labels import Label
from unitune.space.space import Hyperparameter, Space

logger = logging.getLogger(__name__)

_TOLD: set[str] = set()  # names with two domains, of which a search hears once


class HyperParameters:
    """A space that grows as it is asked, and the values of its active hyperparameters.

    Attributes:
        values: From the name of each active hyperparameter to its value.

    Example:
        >>> hp = HyperParameters()
        >>> hp.Int("units", 16, 64, step=16), hp.Choice("activation", ["relu", None])
        (16, 'relu')
        >>> hp.values["units"] = 48
        >>> hp.Int("units", 16, 64, step=16), "units" in hp, hp["units"]
        (48, True, 48)
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._space: list[HyperParameter] = []
        # From a name to the hyperparameters that bear it, each under other conditions.
        self._hps: dict[str, list[HyperParameter]] = {}
        self._name_scopes: list[str] = []
        self._conditions: list[Parent] = []
        # Those that this object was asked for, to notice one name with two domains.
        self._asked: list[HyperParameter] = []
        # Whether that is told and no error, as in KerasTuner.
        self.first_domain_holds = False
        # The conditional scopes that were entered, by whether their conditions held.
        self.active_scopes: list[list[Parent]] = []
        self.inactive_scopes: list[list[Parent]] = []

    # Asking -----------------------------------------------------------------------------------------------------

    def Int(  # noqa: N802 - users know these methods by KerasTuner's names
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: str | None = "linear",
        default: int | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """A whole number; see `unitune.space.hyperparameters.Int`.

        Args:
            name: Its name, within the name scopes.
            min_value, max_value: The bounds, both included.
            step: The distance between values; with a logarithmic sampling the factor between them.
            sampling: `"linear"`, `"log"` or `"reverse_log"`.
            default: `min_value` if not given.
            parent_name, parent_values: Active only where that hyperparameter has one of these values.

        Returns:
            The value of this trial, or None where it is inactive.

        Raises:
            SpaceError: The arguments break a rule, or the name was used with another domain.
        """
        with self._under(parent_name, parent_values):
            full = self._full(name)
            return self._ask(Int(full, min_value, max_value, step, sampling, default, self._conditions))

    def Float(  # noqa: N802
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str | None = "linear",
        default: float | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """A number; arguments as those of `Int`. Without a step every number in between is possible.

        Args:
            name: Its name, within the name scopes.
            min_value, max_value: The bounds, both included.
            step: The distance between values, or the factor with a logarithmic sampling; None for every number in
                between.
            sampling: `"linear"`, `"log"` or `"reverse_log"`.
            default: `min_value` if not given.
            parent_name, parent_values: Active only where that hyperparameter has one of these values.
        """
        with self._under(parent_name, parent_values):
            full = self._full(name)
            return self._ask(Float(full, min_value, max_value, step, sampling, default, self._conditions))

    def Choice(  # noqa: N802
        self,
        name: str,
        values: Iterable[Any],
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """One of some values; see `unitune.space.hyperparameters.Choice`.

        Args:
            name: Its name, within the name scopes.
            values: Numbers, text, booleans, None, tuples or functions.
            ordered: Whether their order means something; True for numbers if not given.
            default: The first if not given.
            parent_name, parent_values: As for `Int`.

        Returns:
            The value of this trial, or None where it is inactive.
        """
        with self._under(parent_name, parent_values):
            return self._ask(Choice(self._full(name), values, ordered, default, self._conditions))

    def Boolean(  # noqa: N802
        self, name: str, default: bool = False, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        """True or False; the last arguments as those of `Int`.

        Args:
            name: Its name, within the name scopes.
            default: The value until another is proposed.
            parent_name, parent_values: Active only where that hyperparameter has one of these values.
        """
        with self._under(parent_name, parent_values):
            return self._ask(Boolean(self._full(name), default, self._conditions))

    def Fixed(  # noqa: N802
        self, name: str, value: Any, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        """A value that does not vary; the last arguments as those of `Int`.

        Args:
            name: Its name, within the name scopes.
            value: Text, a number, a truth value or None.
            parent_name, parent_values: Active only where that hyperparameter has one of these values.
        """
        with self._under(parent_name, parent_values):
            return self._ask(Fixed(self._full(name), value, self._conditions))

    @contextlib.contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        """Puts `name/` before the names that are asked for inside.

        Args:
            name: The name of the scope.
        """
        self._name_scopes.append(str(name))
        try:
            yield
        finally:
            self._name_scopes.pop()

    @contextlib.contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """What is asked for inside is active only where another hyperparameter has one of these values.

        The code inside runs in any case; where the condition does not hold, what is asked for is None.

        Args:
            parent_name: The name of a hyperparameter that was asked for before.
            parent_values: One value, or a list of them.

        Raises:
            SpaceError: The parent was not asked for before.
        """
        full = self._full(parent_name)
        if not self._exists(full):
            raise SpaceError(
                "a condition needs a parent that was asked for before it, in the same scope",
                f"`{full}` is not defined",
            )
        self._conditions.append(Parent(full, parent_values))
        scopes = self.active_scopes if self._holds(self._conditions) else self.inactive_scopes
        scopes.append(list(self._conditions))
        try:
            yield
        finally:
            self._conditions.pop()

    # Reading ----------------------------------------------------------------------------------------------------

    @property
    def space(self) -> list[HyperParameter]:
        """The hyperparameters found so far; a parent comes before those that depend on it."""
        return self._space

    def get(self, name: str) -> Any:
        """The value of an active hyperparameter, by its name within the name scopes.

        Args:
            name: Its name within the name scopes.

        Raises:
            SpaceError: It exists, and is inactive.
            KeyError: It does not exist.
        """
        full = self._full(name)
        if full in self.values:
            return self.values[full]
        if full in self._hps:
            raise SpaceError(f"`{full}` is currently inactive", "", "It has no value where its conditions do not hold.")
        raise KeyError(f"`{full}` does not exist.")

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        return self._full(str(name)) in self.values

    def is_active(self, hyperparameter: str | HyperParameter) -> bool:
        """Whether a hyperparameter is active, or any of that name.

        Args:
            hyperparameter: A hyperparameter, or its full name.
        """
        if isinstance(hyperparameter, HyperParameter):
            return self._holds(hyperparameter.conditions)
        return any(self._holds(one.conditions) for one in self._hps.get(str(hyperparameter), ()))

    # Copies -----------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The space and the values as plain data, but for values that are functions or objects."""
        return {
            "space": [{"class_name": type(one).__name__, "config": one.get_config()} for one in self._space],
            "values": dict(self.values),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> HyperParameters:
        """The inverse of `get_config`.

        Args:
            config: What `get_config` gave.
        """
        new = cls()
        for row in config["space"]:
            new._add(KINDS[row["class_name"]].from_config(row["config"]))
        new.values = dict(config["values"])
        return new

    def copy(self) -> HyperParameters:
        """The same space and values; what is asked of the copy does not reach this one."""
        new = HyperParameters()
        for one in self._space:  # never changed once they are made
            new._add(one)
        new.values = dict(self.values)
        new.first_domain_holds = self.first_domain_holds
        return new

    def merge(self, hps: HyperParameters | Iterable[HyperParameter], overwrite: bool = True) -> None:
        """Adds the hyperparameters of another.

        Args:
            hps: Where they come from.
            overwrite: Whether they replace those of the same name and conditions.
        """
        for one in hps.space if isinstance(hps, HyperParameters) else hps:
            if overwrite or not self._exists(one.name, one.conditions):
                self._register(one, overwrite)

    def ensure_active_values(self) -> None:
        """Drops the values of what is inactive, and draws at random those that are missing.

        So it does where a name has several domains and the value is of another.
        """
        for one in self._space:
            if self.is_active(one):
                foreign = len(self._hps[one.name]) > 1 and not one.contains(self.values.get(one.name, one.default))
                if one.name not in self.values or foreign:
                    self.values[one.name] = one.random_sample()
            elif not self.is_active(one.name):
                self.values.pop(one.name, None)

    def as_space(self) -> Space:
        """What was found so far as a space of `unitune.space`.

        A name that has another domain under another condition is a hyperparameter of its own there:
        `"units [kind=cnn]"` beside `"units [kind=mlp]"`. `values_of` leads back.

        Raises:
            SpaceError: A hyperparameter hangs on another that has several domains.
        """
        return space_of(self._hps)

    def values_of(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """The values, by the names that a function asks for, of a configuration of `as_space`.

        Args:
            configuration: From the names of `as_space` to values.
        """
        return {group[0].name: configuration[name] for name, group in named_groups(self._hps) if name in configuration}

    def labels(self) -> dict[str, Label]:
        """The active values as a table shows them: a function by its name, a tuple as `"(16, 8)"`."""
        shown = {}
        for name, value in self.values.items():
            domain = next((one.domain for one in self._hps.get(name, ()) if self.is_active(one)), FixedDomain(value))
            shown[name] = Space([Hyperparameter(name, domain)]).label(name, value)
        return shown

    # The inside -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _under(self, parent_name: str | None, parent_values: Any) -> Iterator[None]:
        if parent_name is None:
            yield
            return
        with self.conditional_scope(parent_name, parent_values):
            yield

    def _full(self, name: str) -> str:
        return "/".join([*self._name_scopes, str(name)])

    def _holds(self, conditions: Iterable[Parent]) -> bool:
        return all(condition.is_active(self.values) for condition in conditions)

    def _exists(self, name: str, conditions: Iterable[Parent] | None = None) -> bool:
        wanted = None if conditions is None else list(conditions)
        if wanted is None:
            # A parent may be asked for inside other scopes, or before them.
            return name in self._hps
        return any(one.conditions == wanted for one in self._hps.get(name, ()))

    def _ask(self, hyperparameter: HyperParameter) -> Any:
        if any(condition.name == hyperparameter.name for condition in self._conditions):
            raise SpaceError("a hyperparameter cannot have the same name as its parent", f"got `{hyperparameter.name}`")
        self._check_same(hyperparameter)
        if self._exists(hyperparameter.name, hyperparameter.conditions):
            if not self.is_active(hyperparameter):
                return None
            if hyperparameter.name in self.values:
                return self.values[hyperparameter.name]
            known = next(o for o in self._hps[hyperparameter.name] if o.conditions == hyperparameter.conditions)
            self.values[hyperparameter.name] = known.default
            return known.default
        return self._register(hyperparameter)

    def _check_same(self, new: HyperParameter) -> None:
        """Refuses one name with two domains. A domain that was registered before (to override it) is another matter."""
        for old in self._asked:
            if old.name != new.name or old.conditions != new.conditions:
                continue
            if domain_of(old) != domain_of(new) and not isinstance(old, Fixed):
                if self.first_domain_holds:
                    told = "`%s` is asked for as %r and as %r: the first one holds"
                    (logger.debug if new.name in _TOLD else logger.warning)(told, new.name, old, new)
                    _TOLD.add(new.name)
                    return
                raise SpaceError(
                    f"`{new.name}` must be asked for with one domain",
                    f"got {old!r} and then {new!r}",
                    "Give one of them another name, or a condition (`conditional_scope`).",
                )
            return
        self._asked.append(new)

    def _register(self, hyperparameter: HyperParameter, overwrite: bool = False) -> Any:
        if overwrite and self._exists(hyperparameter.name, hyperparameter.conditions):
            for hps in (self._space, self._hps[hyperparameter.name]):
                hps[:] = [
                    hyperparameter
                    if one.name == hyperparameter.name and one.conditions == hyperparameter.conditions
                    else one
                    for one in hps
                ]
            if self.is_active(hyperparameter):
                self.values[hyperparameter.name] = hyperparameter.default
        else:
            self._add(hyperparameter)
        if not self.is_active(hyperparameter):
            return None
        return self.values.setdefault(hyperparameter.name, hyperparameter.default)

    def _add(self, hyperparameter: HyperParameter) -> None:
        self._space.append(hyperparameter)
        self._hps.setdefault(hyperparameter.name, []).append(hyperparameter)
