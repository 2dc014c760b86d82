"""`watcher store ...`: the database that holds cursors, detections and batches."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from watcher.cli.options import Config
from watcher.settings import current_variables, load_settings
from watcher.store import ledger, open_store, open_store_readonly

REFUSED = SUMS_DIFFER = 4

app = typer.Typer(help="The store: migrate, check.", no_args_is_help=True)
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("migrate")
def migrate(config: Config = None, yes: Yes = False) -> None:
    """Bring the store to the schema of this version. SQLite does it by itself; PostgreSQL only here."""
    settings = load_settings(config, current_variables())
    if not yes and not typer.confirm("Migrate the store to the newest schema?", err=True):
        raise typer.Exit(REFUSED)
    asyncio.run(_migrate(settings.store.url))
    typer.echo("The store has the newest schema.", err=True)


@app.command("check")
def check(config: Config = None) -> None:
    """Recount every change from the rows; exit 4 when one has no fate."""
    settings = load_settings(config, current_variables())
    sums, unaccounted = asyncio.run(_sums(settings.store.url))
    for row in sums:
        states = ", ".join(f"{state} {count:,}" for state, count in sorted(row.by_state.items()) if count)
        fate = f"pending {row.pending:,}" + (f", {states}" if states else "")
        typer.echo(f"{row.pipeline}/{row.source_id}  recorded {row.recorded:,} = {fate}")
    typer.echo(f"{unaccounted} changes without a fate.", err=True)
    if unaccounted:
        raise typer.Exit(SUMS_DIFFER)


async def _migrate(url: str) -> None:
    async with open_store(url, migrate=True):
        pass


async def _sums(url: str) -> tuple[tuple[ledger.Sums, ...], int]:
    async with open_store_readonly(url) as store:
        return await ledger.sums(store), await ledger.unaccounted(store)
