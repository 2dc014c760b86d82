"""The locks pin every package by version and hash, name no host, and are what the images and the Makefile install."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def requirements(lock: Path) -> list[str]:
    """The requirements of a lock, each with its continuation lines joined."""
    joined = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def names(lock: str) -> dict[str, str]:
    """Package names with their versions."""
    pairs = (re.match(r"([a-z0-9][a-z0-9._-]*)==(\S+)", line) for line in requirements(ROOT / "requirements" / lock))
    return {pair[1]: pair[2] for pair in pairs if pair is not None}


def test_the_locks_are_there() -> None:
    """One lock per environment, one for the tool that builds them, one for what builds our package."""
    assert [lock.name for lock in LOCKS] == [
        f"{name}.txt" for name in ("airflow", "build", "daemon", "dagfactory", "dev", "fakesnow", "tools")
    ]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_host(lock: Path) -> None:
    """No address stands in a lock, so that every site takes the packages from where it likes."""
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*--(index-url|extra-index-url|find-links|trusted-host)", text, re.M)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_is_pinned_with_hashes(lock: Path) -> None:
    """Each requirement has one exact version and at least one sha256."""
    loose = [line for line in requirements(lock) if not re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)]
    assert requirements(lock)
    assert loose == []


def test_the_tests_run_on_what_the_image_has() -> None:
    """The development environment holds every package of the daemon's image, in the same version."""
    daemon, dev = names("daemon.txt"), names("dev.txt")
    assert daemon
    assert {name: dev.get(name) for name in daemon} == daemon


def test_each_lock_is_used() -> None:
    """The Makefile and the Dockerfile install from the locks with hashes and from nowhere else."""
    makefile, dockerfile = ((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "Dockerfile"))
    for lock, user in (
        ("tools", makefile),
        ("dev", makefile),
        ("airflow", makefile),
        ("daemon", dockerfile),
        ("build", dockerfile),
    ):
        assert f"requirements/{lock}.txt" in user
    for command in re.findall(r"pip (?:install|sync) .*", makefile + dockerfile):
        assert "--require-hashes" in command or "--no-deps" in command, command
