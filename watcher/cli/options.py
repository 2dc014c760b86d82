"""The flags that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path | None, typer.Option("-c", "--config", help="Settings file (default: ./watcher.yaml).")]
Environment = Annotated[str | None, typer.Option("--env", help="Which `environments:` block applies.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
