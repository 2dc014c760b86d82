"""`watcher run`: the daemon in the foreground."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from watcher.cli.options import Config, Environment
from watcher.errors import WatcherError
from watcher.settings import current_variables, load_settings

Names = Annotated[list[str] | None, typer.Option("--pipeline", help="Work only this pipeline; may be repeated.")]


def run(config: Config = None, env: Environment = None, pipeline: Names = None) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; HUP reloads the pipelines."""
    # the daemon brings Airflow's client, which takes a second to import: the other commands do without
    from watcher import events
    from watcher.daemon import DaemonOptions
    from watcher.daemon import run as run_daemon

    variables = current_variables()
    settings = load_settings(config, variables, environment=env)
    log = events.begin(settings.log.format, settings.log.level)
    try:
        asyncio.run(run_daemon(DaemonOptions(settings, variables, tuple(pipeline or ()))))
    except (asyncio.CancelledError, KeyboardInterrupt):
        return  # a second signal: what was in hand is verified at the next start
    except WatcherError:
        raise
    except BaseExceptionGroup as group:
        error = _first(group)
        if not isinstance(error, WatcherError) or error.code == "internal":
            events.daemon_crashed(group)
        raise error from group
    finally:
        log.close()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the daemon, out of the groups that its tasks wrap it in."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
