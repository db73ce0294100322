"""A Ray cluster: found and connected to, and what can be sent to it."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from typing import Any

from unitune.errors import OptionError

logger = logging.getLogger(__name__)

CONNECT_S = 15.0


def import_ray() -> Any:
    """The module `ray`.

    Raises:
        OptionError: It is not installed.
    """
    # Ray says on every start that an environment variable will change its meaning.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise OptionError(
            '`executor="ray"` needs the package ray', "it is not installed", 'Use `pip install "unitune[ray]"`.'
        ) from None
    return ray


def _hush(ray: Any) -> None:
    """Ray prints what happens to its processes, twenty lines for a lost node, to standard output, whatever it is told.

    The pool says what matters in a line of its own log; the rest is in Ray's log files.
    """
    module = ray._private.worker
    if hasattr(module, "print_to_stdstream"):
        module.print_to_stdstream = lambda data, **more: logger.debug("%s", data)


def connect(address: str | None) -> None:
    """Joins the cluster at an address, or starts a local one.

    Raises:
        OptionError: No cluster answers there within 15 s, or it has other versions of Python or Ray.
    """
    ray = import_ray()
    _hush(ray)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    if address is None:
        ray.init(address="local", include_dashboard=False, **options)
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host:
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
        except (OSError, ValueError) as error:
            raise _unreachable(address, str(getattr(error, "strerror", None) or error)) from None
    try:
        ray.init(address=address, **options)
    except (ConnectionError, TimeoutError) as error:
        raise _unreachable(address, first_line(error)) from None
    except RuntimeError as error:
        if "ersion" in str(error):
            raise OptionError(
                "a Ray cluster must have this machine's versions of Python and Ray",
                f"`{address}` says: {first_line(error)}",
                "Install the same versions on all nodes, from one constraints file or one image.",
            ) from None
        raise _unreachable(address, first_line(error)) from None


def _unreachable(address: str, reason: str) -> OptionError:
    return OptionError(
        "a Ray cluster must answer at the address",
        f"none does at `{address}`: {reason}",
        "Start one with `ray start --head`, or leave the address out to use this machine alone.",
    )


def check_shippable(value: Any) -> None:
    """Refuses what cannot be sent to a worker.

    Raises:
        OptionError: It names the objects that are in the way.
    """
    import io

    import ray
    from ray.util import inspect_serializability

    try:
        ray.cloudpickle.dumps(value)
    except Exception as error:
        with contextlib.redirect_stdout(io.StringIO()):
            _, failures = inspect_serializability(value, print_file=io.StringIO())
        names = ", ".join(
            sorted({f"`{getattr(f, 'name', f)}` ({type(getattr(f, 'obj', f)).__name__})" for f in failures})
        )
        raise OptionError(
            "what is trained on Ray must be sent to its workers",
            f"{names or first_line(error)} cannot be pickled",
            "Make it inside the function that uses it, or leave it out.",
        ) from None


def is_systems(error: Any) -> bool:
    """Whether a failed call is the machine's fault: no room in the object store or on its disk."""
    import ray

    return isinstance(error.cause, ray.exceptions.RayError)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
