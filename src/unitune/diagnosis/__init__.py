"""Findings: what limits the candidates, judged from histories and probes, and what to try next."""

from unitune.diagnosis.diagnose import KINDS, diagnose
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.next_space import next_space
from unitune.diagnosis.single_feature import best_single_feature

__all__ = ["KINDS", "Evidence", "best_single_feature", "diagnose", "next_space"]
