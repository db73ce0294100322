"""For tests of what you build around Unitune: an engine that takes no time."""

from unitune.engine.fake import FakeEngine

__all__ = ["FakeEngine"]
