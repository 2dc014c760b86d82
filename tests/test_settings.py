"""Settings: file, environment and flags in that order, unknown keys and literal secrets refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from watcher.errors import ConfigError
from watcher.settings import load_settings

SMALLEST = "airflow: {url: 'http://127.0.0.1:8080', username: watcher, password: '${AIRFLOW_PASSWORD}'}\n"


@pytest.fixture
def written(tmp_path: Path):
    """Writes a settings file and answers its path."""

    def write(text: str) -> Path:
        path = tmp_path / "watcher.yaml"
        path.write_text(text)
        return path

    return write


def test_defaults_are_those_of_the_documentation(written) -> None:
    """The smallest file gives the documented store, listeners and grace."""
    settings = load_settings(written(SMALLEST), {"AIRFLOW_PASSWORD": "s3cret"})
    assert settings.store.url == "sqlite:///state/watcher.db"
    assert settings.web.ops == "127.0.0.1:8781"
    assert settings.shutdown_grace == timedelta(seconds=25)
    assert settings.airflow.password is not None
    assert settings.airflow.password.read() == "s3cret"


def test_the_environment_wins_over_the_file_and_a_flag_over_both(written, monkeypatch) -> None:
    """Precedence is flag, environment, file."""
    path = written(SMALLEST + "environment: dev\nlog: {level: debug}\n")
    monkeypatch.setenv("WATCHER__LOG__LEVEL", "error")
    settings = load_settings(path, {"AIRFLOW_PASSWORD": "x"}, environment="prod")
    assert (settings.log.level, settings.environment) == ("error", "prod")


def test_a_secret_file_is_read_again_at_every_use(written, tmp_path) -> None:
    """A rotated secret is used without a restart."""
    secret = tmp_path / "password"
    secret.write_text("one\n")
    text = "airflow: {url: 'http://h', username: watcher}\n"
    settings = load_settings(written(text), {"WATCHER__AIRFLOW__PASSWORD_FILE": str(secret)})
    assert settings.airflow.password is not None
    assert settings.airflow.password.read() == "one"
    secret.write_text("two\n")
    assert settings.airflow.password.read() == "two"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("airflow: {url: 'http://h', pasword: x}", "bad-settings", "airflow.pasword: unknown key"),
        ("pipelines: p", "bad-settings", "airflow: required; set it in watcher.yaml or as WATCHER__AIRFLOW"),
        ("airflow: {url: 'http://h', username: w, password: hunter22}", "literal-secret", "airflow.password"),
        ("airflow: {url: 'http://h'}\nconnections: {c: 'postgresql://u:pw@h/d'}", "literal-secret", "connections.c"),
        ("airflow: {url: '${NOWHERE}'}", "undefined-variable", "${NOWHERE} is not set"),
        ("airflow: {url: '${NOWHERE:?name the server}'}", "undefined-variable", "name the server"),
        ("airflow: {url: 'http://h', username: w}", "bad-settings", "username needs a password"),
        ("airflow: {url: 'http://h', client_id: c}", "bad-settings", "not available in this version yet"),
        (
            "airflow: {url: 'http://h'}\nweb: {webhooks: '0.0.0.0:8782'}",
            "bad-settings",
            "not available in this version yet: web.webhooks",
        ),
        (
            "airflow: {url: 'http://h'}\ndetectors: [a.b]",
            "bad-settings",
            "not available in this version yet: detectors",
        ),
        ("airflow: [", "bad-yaml", "watcher.yaml"),
        ("- a", "bad-settings", "mapping of keys"),
    ],
)
def test_bad_settings_name_their_key(written, text: str, code: str, message: str) -> None:
    """Every mistake is refused with its code and the key it is about."""
    with pytest.raises(ConfigError) as caught:
        load_settings(written(text), {})
    assert caught.value.code == code
    assert message in str(caught.value)


def test_no_secret_is_in_the_repr_or_in_an_error(written) -> None:
    """Settings can be printed."""
    canary = "canary-0815"
    settings = load_settings(
        written(SMALLEST + "connections: {c: 'postgresql://u:${PW}@h/d'}\n"), {"AIRFLOW_PASSWORD": canary, "PW": canary}
    )
    assert canary not in repr(settings)
    with pytest.raises(ConfigError) as caught:
        load_settings(written(SMALLEST + "log: {level: ${L}}\n"), {"AIRFLOW_PASSWORD": canary, "L": canary})
    assert canary not in str(caught.value)
