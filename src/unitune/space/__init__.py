"""What may vary: hyperparameters, their domains and conditions. Nothing here imports a framework or draws at random."""

from unitune.space.domains import Choice, Domain, Fixed, Float, Int
from unitune.space.space import Condition, Hyperparameter, Space

__all__ = ["Choice", "Condition", "Domain", "Fixed", "Float", "Hyperparameter", "Int", "Space"]
