"""HUP: the whole new set or none of it, and what did not change is left alone."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from tests.acceptance.daemon import Daemon, Place

SOURCE = {"source_id": "landing", "source_type": "filesystem", "watch": {"settle": "0s", "interval": "1s"}}


def publish(place: Place, name: str, **trigger: object) -> None:
    """A pipeline with a landing folder of its own."""
    landing = place.folder / name
    landing.mkdir(exist_ok=True)
    text = {"name": name, "sources": [SOURCE | {"path": str(landing)}], "trigger": {"changes": 9} | trigger}
    (place.pipelines / f"{name}.yaml").write_text(json.dumps(text))


def drop(landing: Path, name: str) -> None:
    """A file that is whole when it appears: without `settle` a slow one counts at each look."""
    part = landing / f"{name}.part"
    part.write_text("1")
    part.rename(landing / name)


def test_reload_starts_stops_and_leaves_what_the_files_say_and_refuses_a_bad_set_whole(tmp_path: Path) -> None:
    """A cursor survives: what was found before the reload is neither lost nor found again."""
    place = Place(tmp_path, "http://127.0.0.1:9", "unused", {})
    place.write()
    publish(place, "first")
    publish(place, "second")
    with Daemon(place) as daemon:
        for name in ("first", "second"):
            daemon.wait_for("first_look_done", where=lambda line, name=name: line["pipeline"] == name)
        drop(tmp_path / "first", "a.csv")
        daemon.wait_for("changes_waiting", where=lambda line: line["changes"] == 1)

        publish(place, "first", max_wait="1h")
        publish(place, "third")
        (place.pipelines / "second.yaml").unlink()
        seen = len(daemon.lines)
        daemon.process.send_signal(signal.SIGHUP)
        loaded = daemon.wait_for("pipelines_loaded", after=seen)
        assert (loaded["started"], loaded["stopped"], loaded["left"]) == (2, 2, 0)
        daemon.wait_for("first_look_done", after=seen, where=lambda line: line["pipeline"] == "third")
        drop(tmp_path / "first", "b.csv")
        daemon.wait_for("changes_waiting", after=seen, where=lambda line: line["changes"] == 2)

        (place.pipelines / "fourth.yaml").write_text("name: fourth\ncolour: red\n")
        publish(place, "first", max_wait="2h")
        seen = len(daemon.lines)
        daemon.process.send_signal(signal.SIGHUP)
        refused = daemon.wait_for("pipelines_refused", after=seen)
        assert any("fourth.yaml:2:1" in problem for problem in refused["problems"])
        drop(tmp_path / "first", "c.csv")
        daemon.wait_for("changes_waiting", after=seen, where=lambda line: line["changes"] == 3)
        assert daemon.stop() == 0
    assert not [line for line in daemon.lines[seen:] if line["event"] == "pipelines_loaded"]
