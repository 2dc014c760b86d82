"""Connects to everything a daemon would, stores and sends nothing, and says in findings what is well and what is not."""

from watcher.doctor.examine import Examination, Part, examine
from watcher.doctor.finding import Finding, Verdict
from watcher.doctor.step import Step, steps_of

__all__ = ["Examination", "Finding", "Part", "Step", "Verdict", "examine", "steps_of"]
