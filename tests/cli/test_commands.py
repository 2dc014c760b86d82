"""The commands as people run them: what they print, and their exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

WATCHER = Path(sys.executable).with_name("watcher")
SOURCE = {"source_id": "landing", "source_type": "filesystem", "path": "/data", "watch": {}}


def watcher(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """One command in a folder, with no settings in the environment but these."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("WATCHER", "AIRFLOW"))} | variables
    return subprocess.run(
        [WATCHER, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def publish(folder: Path, name: str, **keys: object) -> None:
    (folder / "pipelines").mkdir(exist_ok=True)
    (folder / "pipelines" / f"{name}.yaml").write_text(json.dumps({"name": name, "sources": [SOURCE]} | keys))


def settle(folder: Path, **keys: object) -> None:
    """A settings file for an Airflow that nobody runs."""
    settings = {
        "airflow": {"url": "http://127.0.0.1:9"},
        "web": {"ops": "127.0.0.1:0"},
        "log": {"format": "json"},
    } | keys
    (folder / "watcher.yaml").write_text(json.dumps(settings))


def test_version_is_printed(tmp_path: Path) -> None:
    """On stdout, alone."""
    done = watcher(tmp_path, "version")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)


def test_schema_is_one_json_document(tmp_path: Path) -> None:
    """An editor can be pointed at it."""
    done = watcher(tmp_path, "schema")
    assert "sources" in json.loads(done.stdout)["properties"]


def test_check_prints_every_problem_and_exits_78(tmp_path: Path) -> None:
    """File, line, column and a suggestion for each; the valid file is counted."""
    publish(tmp_path, "good")
    (tmp_path / "pipelines" / "bad.yaml").write_text("name: bad\nsurces: []\ntrigger:\n  max_wiat: 10m\n")
    done = watcher(tmp_path, "check")
    assert done.returncode == 78
    assert 'bad.yaml:4:3: error[unknown-key]: unknown key "max_wiat" in trigger' in done.stdout
    assert 'did you mean "max_wait"?' in done.stdout
    assert 'did you mean "sources"?' in done.stdout
    assert "1 of 2 files" in done.stderr


def test_check_is_silent_about_good_files_and_exits_0(tmp_path: Path) -> None:
    """Zero always means success."""
    publish(tmp_path, "good", trigger={"changes": 5, "max_wait": "1m"})
    done = watcher(tmp_path, "check")
    assert (done.returncode, done.stdout) == (0, "")


def test_check_as_json_is_one_document(tmp_path: Path) -> None:
    """Machines get code, file, line and column."""
    publish(tmp_path, "bad", colour="red")
    done = watcher(tmp_path, "check", "--format", "json")
    (problem,) = json.loads(done.stdout)
    assert (problem["code"], problem["line"]) == ("unknown-key", 1)


def test_strict_turns_warnings_into_exit_5(tmp_path: Path) -> None:
    """A warning alone is 0, under --strict 5."""
    publish(tmp_path, "slow", trigger={"changes": 5, "settle": "2m", "max_wait": "1m"})
    assert watcher(tmp_path, "check").returncode == 0
    assert watcher(tmp_path, "check", "--strict").returncode == 5


@pytest.mark.parametrize(
    ("settings", "code", "text"),
    [({"airflw": 1}, 78, "airflw: unknown key"), ({"store": {"url": "mysql://h/d"}}, 78, "sqlite or postgresql")],
)
def test_run_refuses_bad_settings_with_78(tmp_path: Path, settings: dict[str, object], code: int, text: str) -> None:
    """The key is named; no trace is shown."""
    publish(tmp_path, "good")
    settle(tmp_path, **settings)
    done = watcher(tmp_path, "run")
    assert (done.returncode, text in done.stderr, "Traceback" in done.stderr) == (code, True, False)


def test_a_password_file_in_the_environment_is_a_good_setting(tmp_path: Path) -> None:
    """The documented ..._FILE form passes the check."""
    publish(tmp_path, "good")
    settle(tmp_path, airflow={"url": "http://127.0.0.1:9", "username": "w"})
    (tmp_path / "password").write_text("s3cret")
    done = watcher(tmp_path, "check", WATCHER__AIRFLOW__PASSWORD_FILE=str(tmp_path / "password"))
    assert (done.returncode, done.stdout) == (0, "")


def test_an_unfit_variable_is_78_and_no_trace(tmp_path: Path) -> None:
    """The variable is named, its text is not shown."""
    publish(tmp_path, "good")
    settle(tmp_path)
    done = watcher(tmp_path, "check", WATCHER__CONNECTIONS="canary")
    assert (done.returncode, "WATCHER__CONNECTIONS" in done.stderr) == (78, True)
    assert ("canary" in done.stderr, "Traceback" in done.stderr) == (False, False)


def test_an_env_file_that_is_not_utf_8_is_78(tmp_path: Path) -> None:
    """The file is named; no trace is shown."""
    publish(tmp_path, "good")
    (tmp_path / "ci.env").write_bytes(b"SECRET=canary\xff\n")
    done = watcher(tmp_path, "check", "--env-file", "ci.env")
    assert (done.returncode, "ci.env is not UTF-8" in done.stderr) == (78, True)
    assert "Traceback" not in done.stderr


def test_run_stops_in_order_and_status_reads_the_store(tmp_path: Path) -> None:
    """SIGTERM ends it with 0, also while Airflow is away; then status tells what waits."""
    landing = tmp_path / "landing"
    landing.mkdir()
    (landing / "a.csv").write_text("1")
    watch = {"start_from": "beginning", "settle": "0s"}
    publish(tmp_path, "drop", sources=[SOURCE | {"path": str(landing), "watch": watch}], trigger={"changes": 9})
    settle(tmp_path)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("WATCHER", "AIRFLOW"))}
    process = subprocess.Popen([WATCHER, "run"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        seen = []
        for text in process.stdout:
            seen.append(json.loads(text)["event"])
            if seen[-1] == "changes_waiting":
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.stdout.close()
    assert {"daemon_started", "first_look_done", "detection_recorded"} <= set(seen)
    done = watcher(tmp_path, "status", "--json")
    (row,) = json.loads(done.stdout)["pipelines"]
    assert (row["pipeline"], row["state"], row["pending_changes"]) == ("drop", "pending", 1)
    assert "drop" in watcher(tmp_path, "status").stdout
    assert watcher(tmp_path, "store", "check").returncode == 0


def test_wrong_usage_is_2(tmp_path: Path) -> None:
    """An unknown flag is said by name."""
    done = watcher(tmp_path, "run", "--nonsense")
    assert (done.returncode, "nonsense" in done.stderr) == (2, True)


def test_status_without_a_store_is_3(tmp_path: Path) -> None:
    """Neither daemon nor store to talk to."""
    settle(tmp_path)
    assert watcher(tmp_path, "status").returncode == 3
