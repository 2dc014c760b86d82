"""Log lines: one fact a line, secrets masked last, nobody waits for a reader that stands still."""

from __future__ import annotations

import contextlib
import json
import logging
import os

import pytest
import structlog

from watcher.events import logs


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]):
    """Two functions: one starts the log on stdout, one ends it and gives its lines."""
    handlers, level = logging.root.handlers[:], logging.root.level
    writers: list[logs.LineWriter] = []

    def start(form: str) -> None:
        writers.append(logs.start_logging(form, "info", written=lambda _: None, dropped=lambda: None))

    def end() -> list[str]:
        writers[0].close()
        return capsys.readouterr().out.splitlines()

    yield start, end
    structlog.reset_defaults()
    logging.root.handlers[:], logging.root.level = handlers, level
    logs._known_secrets.clear()


def test_json_lines_have_the_documented_keys_first(lines) -> None:
    """time, level and event lead; what is absent is absent."""
    start, end = lines
    start("json")
    structlog.get_logger().info("batch_fired", changes=3, pipeline="orders", batch="b000001", reason=None)
    (line,) = end()
    assert list(json.loads(line)) == ["time", "level", "event", "pipeline", "batch", "changes"]


def test_a_secret_is_masked_wherever_it_appears(lines) -> None:
    """In a value, in a trace, and in the line of a foreign library."""
    start, end = lines
    start("json")
    logs.hide("canary-4711")
    structlog.get_logger().info("x", message="token canary-4711 refused")
    try:
        raise ValueError("canary-4711")
    except ValueError:
        structlog.get_logger().error("y", exc_info=True)
    logging.getLogger("foreign").warning("GET https://u:canary-4711@h")
    text = "\n".join(end())
    assert text.count("***") >= 3
    assert "canary" not in text


def test_a_secret_that_is_an_ordinary_word_masks_no_part_of_another(lines) -> None:
    """The run id stays readable when somebody's password is its first word."""
    start, end = lines
    start("json")
    logs.hide("watcher")
    structlog.get_logger().info(
        "x", dag_run_id="watcher__20261122T141006Z__b000017", message="password watcher refused"
    )
    (line,) = end()
    assert json.loads(line)["dag_run_id"] == "watcher__20261122T141006Z__b000017"
    assert json.loads(line)["message"] == "password *** refused"


def test_the_text_form_cannot_be_forged(lines) -> None:
    """A name with a newline or an escape sequence stays on its line."""
    start, end = lines
    start("text")
    structlog.get_logger().info("x", pipeline="orders", message="file a\n12:00:00 b \x1b[31m found")
    (line,) = end()
    assert "\\n12:00:00 b \\x1b[31m found" in line


def test_a_reader_that_stands_still_costs_lines_not_time() -> None:
    """With the pipe full, lines are dropped and counted; nobody waits."""
    read, write = os.pipe()
    dropped = 0

    def count() -> None:
        nonlocal dropped
        dropped += 1

    stream = os.fdopen(write, "w")
    writer = logs.LineWriter(stream, count)
    writer.start()
    for _ in range(logs.QUEUE_LINES + 2000):
        writer.put("x" * 200)
    assert dropped >= 2000 - 400  # a pipe holds 64 KiB, which is some 330 of these lines
    os.close(read)  # the writer sees a broken pipe and comes to its end
    writer.close(grace=5)
    with contextlib.suppress(BrokenPipeError):
        stream.close()
