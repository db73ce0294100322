"""Findings: what limits the candidates, judged from histories and probes, and what to try next."""

from unitune.diagnosis.diagnose import KINDS, diagnose
from unitune.diagnosis.evidence import Evidence

__all__ = ["KINDS", "Evidence", "diagnose"]
