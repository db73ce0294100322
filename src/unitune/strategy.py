"""What a strategy of your own needs: the class that it extends, and a configuration from a few of its values."""

from unitune.search import Goal, Strategy, completed

__all__ = ["Goal", "Strategy", "completed"]
