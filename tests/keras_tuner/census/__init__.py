"""Model-building functions of the kinds that people write, in our own words."""


def cases():
    """All of them, by name."""
    from . import neutral, own, transfer  # noqa: F401  (they note their functions)
    from .rows import CASES

    return CASES
