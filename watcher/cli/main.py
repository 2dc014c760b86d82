"""The commands of `watcher`, and the one place where errors become exit codes."""

from __future__ import annotations

import json
import sys
import traceback

import typer

from watcher.cli import check, doctor, init, run, status, store
from watcher.errors import CannotStartError, ConfigError, StoreError, WatcherError
from watcher.pipeline.schema import json_schema
from watcher.version import VERSION

CRASHED, CANNOT_START, BAD_CONFIGURATION = 1, 3, 78

app = typer.Typer(
    name="watcher",
    help="Watches data outside Airflow and starts a DAG run when enough has changed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("check")(check.check)
app.command("doctor")(doctor.doctor)
app.command("init")(init.init)
app.command("status")(status.status)
app.add_typer(store.app, name="store")


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of pipeline files, for editors."""
    typer.echo(json.dumps(json_schema(), indent=2))


@app.command("version")
def version() -> None:
    """Print the version."""
    typer.echo(VERSION)


def main() -> None:
    """Runs one command and exits: 0 done, 1 our bug, 2 wrong usage, 3 cannot start, 78 bad configuration."""
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        app()  # ends with SystemExit: 0, 2 for wrong usage, or the code of a command
    except ConfigError as error:
        return _said(error, BAD_CONFIGURATION)
    except (CannotStartError, StoreError) as error:
        return _said(error, CANNOT_START)
    except Exception:  # noqa: BLE001 - the last handler of the program: whatever arrives here is a bug of ours
        traceback.print_exc()
        typer.echo("watcher crashed: this is a bug of ours, please report the trace above", err=True)
        return CRASHED
    return 0


def _said(error: WatcherError, code: int) -> int:
    typer.echo(f"error[{error.code}]: {error}", err=True)
    typer.echo(f"-> {error.hint}", err=True)
    return code
