"""Existing Airflow DAGs, read as text and never run: which Airflow sensors wait in them, and the pipelines that replace these."""

from watcher.adopt.drafts import Draft
from watcher.adopt.found import AirflowSensor, Mode, Untranslated
from watcher.adopt.pipelines import Adopted, Adoption, adopt

__all__ = ["Adopted", "Adoption", "AirflowSensor", "Draft", "Mode", "Untranslated", "adopt"]
