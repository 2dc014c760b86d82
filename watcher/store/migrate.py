"""Brings the tables to the newest schema, or says how they stand to it; each start is one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection

SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 0x7761746368657230
"""Any number that no other program of the database uses for an advisory lock."""

Standing = Literal["empty", "older", "current", "newer"]


def revision(connection: Connection) -> str | None:
    """The schema that the store has, None when it has no tables of ours."""
    return MigrationContext.configure(connection).get_current_revision()


def standing(connection: Connection) -> Standing:
    """How the store's schema stands to the newest one of this program."""
    present = revision(connection)
    if present is None:
        return "empty"
    directory = ScriptDirectory(str(SCRIPTS))
    if present == directory.get_current_head():
        return "current"
    known = {script.revision for script in directory.walk_revisions()}
    return "older" if present in known else "newer"


def wait_for_turn(connection: Connection) -> None:
    """Lets one of several starting daemons migrate; the others wait, then find the work done. For PostgreSQL."""
    connection.execute(text("set local lock_timeout = '60s'"))
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def upgrade(connection: Connection) -> None:
    """Runs the migrations that are missing, in the transaction of `connection`."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
