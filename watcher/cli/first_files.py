"""The files that `watcher init` writes: short, commented, valid as they are once the variables are set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from watcher.pipeline.schema import json_schema

Kind = Literal["database", "filesystem", "api", "custom"]
SCHEMA_FILE: Final = "pipeline.schema.json"
_SCHEMA_LINE: Final = f"# yaml-language-server: $schema=../{SCHEMA_FILE}\n"

SETTINGS: Final = """\
# Settings of the daemon. Every key is also a variable: WATCHER__AIRFLOW__URL is airflow.url.
pipelines: pipelines                  # Airflow reads the same folder: WATCHER__PIPELINES
store: {url: "sqlite:///state/watcher.db"}
airflow:
  url: http://localhost:8080
  username: watcher                   # may read DAGs, runs and import errors, and create runs
  password: ${AIRFLOW_PASSWORD}       # or {file: /run/secrets/airflow}
"""

EXAMPLES: Final[Mapping[Kind, tuple[str, str]]] = {
    "database": (
        "orders",
        """\
name: orders
description: Load orders soon after they change
sources:
  - source_id: orders_db
    source_type: database
    connection: shop_db              # same id as the Airflow connection
    table: public.orders
    watch: {column: updated_at}      # a column that changes with every write
trigger:
  changes: 1000                      # run after 1,000 changed rows...
  max_wait: 10m                      # ...or 10 minutes after the first one
""",
    ),
    "filesystem": (
        "landing",
        """\
name: landing
description: Load files soon after they are complete
sources:
  - source_id: landing
    source_type: filesystem
    path: /data/landing              # the daemon and Airflow's workers see it under this path
    pattern: "**/*.csv"
    watch: {settle: 30s}             # a file counts once it has not changed for so long
trigger:
  files: 24
  max_wait: 1h                       # run with what there is
""",
    ),
    "api": (
        "rates",
        """\
# Looking at an HTTP API comes with a later version: `watcher check` says so once `enabled: false` is taken out.
name: rates
description: Refresh rates when the provider publishes new ones
enabled: false
sources:
  - source_id: rates_api
    enabled: false
    source_type: api
    connection: rates_http
    endpoint: /v1/rates/latest
    watch: {interval: 1m}
""",
    ),
    "custom": (
        "models",
        """\
# Detectors of your own come with a later version: `watcher check` says so once `enabled: false` is taken out.
name: models
description: Score again when a new model is out
enabled: false
sources:
  - source_id: registry
    enabled: false
    source_type: custom
    detector: acme_detectors.registry:ModelRegistry
    options: {model: churn}
    watch: {interval: 5m}
""",
    ),
}
"""Kind of source -> the example's name and text."""

_CONNECTIONS: Final[Mapping[Kind, tuple[str, ...]]] = {"database": ("shop_db",), "api": ("rates_http",)}


def settings_files(connections: Iterable[str]) -> dict[str, str]:
    """What every project has, by path: settings, the editors' schema, and which variables must be set."""
    return {
        "watcher.yaml": SETTINGS,
        SCHEMA_FILE: json.dumps(json_schema(), indent=2) + "\n",
        ".env.example": _variables(connections),
    }


def example_files(kind: Kind) -> dict[str, str]:
    """A whole first project around one kind of source."""
    name, text = EXAMPLES[kind]
    return settings_files(_CONNECTIONS.get(kind, ())) | {f"pipelines/{name}.yaml": _SCHEMA_LINE + text}


def _variables(connections: Iterable[str]) -> str:
    lines = [
        "# cp .env.example .env, fill it in, then: set -a; . ./.env; set +a",
        "AIRFLOW_PASSWORD=change-me",
        "# connections, as Airflow has them; reading is all that the daemon needs",
        *(
            f"AIRFLOW_CONN_{_variable(name)}=postgresql://reader:change-me@localhost:5432/{name}"
            for name in connections
        ),
    ]
    return "\n".join(lines) + "\n"


def _variable(connection: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in connection.upper())
