"""The ops listener: alive looks at nothing outside, ready tells whether changes are taken in, a taken port is said."""

from __future__ import annotations

import time

import aiohttp
import pytest

from watcher.errors import CannotStartError
from watcher.web import Health, serve_ops


async def answer(address: str, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}{path}") as response:
        return response.status, await response.text()


async def test_liveness_is_green_whatever_airflow_or_the_store_do() -> None:
    """An outage outside must never become a restart loop."""
    health = Health(phase="ready", refused={"look a/b": "store-full"}, degraded={"airflow": "away"})
    async with serve_ops(health, "127.0.0.1:0") as address:
        assert await answer(address, "/livez") == (200, '{"status": "alive"}')


async def test_liveness_turns_red_when_a_loop_stands_still() -> None:
    """A service that has not stepped for minutes is named."""
    health = Health(phase="ready", last_steps=lambda: {"dispatch": time.monotonic() - 999, "track": time.monotonic()})
    async with serve_ops(health, "127.0.0.1:0") as address:
        status, text = await answer(address, "/livez")
    assert (status, "dispatch" in text, "track" in text) == (503, True, False)


@pytest.mark.parametrize(
    ("health", "status", "word"),
    [
        (Health(), 503, "starting"),
        (Health(phase="ready"), 200, "ready"),
        (Health(phase="draining"), 503, "draining"),
        (Health(phase="ready", degraded={"airflow": "away"}), 200, "degraded"),
        (Health(phase="ready", refused={"dispatch": "store-full: no space"}), 503, "no space"),
    ],
)
async def test_readiness_says_whether_changes_are_taken_in(health: Health, status: int, word: str) -> None:
    """Airflow away is 200 degraded; a store that refuses is 503 with the reason."""
    async with serve_ops(health, "127.0.0.1:0") as address:
        code, text = await answer(address, "/readyz")
        _, verbose = await answer(address, "/readyz?verbose")
    assert (code, word in text) == (status, True)
    assert all(reason in verbose for reason in (*health.refused.values(), *health.degraded.values()))


async def test_metrics_are_prometheus_text() -> None:
    """Every metric of ours begins with our prefix."""
    async with serve_ops(Health(), "127.0.0.1:0") as address:
        status, text = await answer(address, "/metrics")
    assert status == 200
    assert "# TYPE watcher_unaccounted_changes gauge" in text


async def test_a_taken_port_is_said_with_its_fix() -> None:
    """The second daemon on one port cannot start, and says which setting to change."""
    async with serve_ops(Health(), "127.0.0.1:0") as address:
        with pytest.raises(CannotStartError) as caught:
            async with serve_ops(Health(), address):
                pass
    assert caught.value.code == "port-taken"
    assert address in str(caught.value)
    assert "web.ops" in str(caught.value)
