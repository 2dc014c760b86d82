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


def test_the_environment_wins_over_the_file_and_a_flag_over_both(written) -> None:
    """Precedence is flag, environment, file."""
    path = written(SMALLEST + "environment: dev\nlog: {level: debug}\n")
    variables = {"AIRFLOW_PASSWORD": "x", "WATCHER__LOG__LEVEL": "error", "WATCHER__ENVIRONMENT": "test"}
    settings = load_settings(path, variables, environment="prod")
    assert (settings.log.level, settings.environment) == ("error", "prod")
    assert settings.airflow.username == "watcher"


def test_only_the_given_variables_count(written, monkeypatch) -> None:
    """What the process has in its environment beside them changes nothing."""
    monkeypatch.setenv("WATCHER__LOG__LEVEL", "error")
    monkeypatch.setenv("WATCHER__AIRFLOW__NONSENSE", "x")
    assert load_settings(written(SMALLEST), {"AIRFLOW_PASSWORD": "x"}).log.level == "info"


def test_settings_need_no_file(tmp_path, monkeypatch) -> None:
    """Variables alone are enough, with the password in a file and an empty variable as good as none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "password").write_text("s3cret\n")
    airflow = {"URL": "http://h", "USERNAME": "w", "PASSWORD_FILE": str(tmp_path / "password"), "TOKEN_FILE": ""}
    settings = load_settings(None, {f"WATCHER__AIRFLOW__{key}": value for key, value in airflow.items()})
    assert settings.airflow.password is not None
    assert (settings.airflow.password.read(), settings.airflow.token_file) == ("s3cret", None)


def test_the_token_file_is_a_key_of_its_own(written) -> None:
    """WATCHER__AIRFLOW__TOKEN_FILE is airflow.token_file and no second way in."""
    settings = load_settings(written("airflow: {url: 'http://h'}\n"), {"WATCHER__AIRFLOW__TOKEN_FILE": "/run/token"})
    assert (settings.airflow.token_file, settings.airflow.token) == (Path("/run/token"), None)


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
        ("airflow: {url: 'http://h'}\nweb: {ops: '127.0.0.1:65536'}", "bad-settings", "web.ops: Value error, the port"),
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


def test_the_flag_for_airflows_address_wins_and_keeps_the_login(tmp_path: Path) -> None:
    """Over the file and the environment; user and password stay those of the settings."""
    file = tmp_path / "watcher.yaml"
    file.write_text('airflow: {url: http://file, username: ana, password: "${SECRET}"}\n')
    variables = {"SECRET": "x", "WATCHER__AIRFLOW__URL": "http://environment"}
    settings = load_settings(file, variables, airflow_url="http://flag")
    assert (settings.airflow.url, settings.airflow.username) == ("http://flag", "ana")


@pytest.mark.parametrize(
    ("text", "variables", "message"),
    [
        (SMALLEST, {"WATCHER__CONNECTIONS": "canary-0815"}, "connections: not JSON in WATCHER__CONNECTIONS"),
        (SMALLEST, {"WATCHER__ALERTING__WHEN": "canary-0815"}, "alerting: not JSON in WATCHER__ALERTING__WHEN"),
        ("airflow: canary-0815", {"WATCHER__AIRFLOW__PASSWORD_FILE": "/x"}, "watcher.yaml: airflow: is a mapping"),
    ],
)
def test_bad_variables_name_their_key(written, text: str, variables: dict[str, str], message: str) -> None:
    """A variable that does not fit is refused by name, its text is not shown."""
    with pytest.raises(ConfigError) as caught:
        load_settings(written(text), {"AIRFLOW_PASSWORD": "x"} | variables)
    assert message in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_secret_file_may_complete_an_empty_block(written) -> None:
    """`airflow:` with nothing below it is a block whose keys come from variables."""
    variables = {"WATCHER__AIRFLOW__URL": "http://h", "WATCHER__AIRFLOW__PASSWORD_FILE": "/x"}
    assert load_settings(written("airflow:\n"), variables).airflow.url == "http://h"


def test_files_that_are_not_utf_8_are_named(written, tmp_path) -> None:
    """Of the settings and of a secret, the message holds the path and none of the bytes."""
    secret = tmp_path / "password"
    secret.write_bytes(b"canary\xff")
    settings = load_settings(
        written("airflow: {url: 'http://h', username: w}"), {"WATCHER__AIRFLOW__PASSWORD_FILE": str(secret)}
    )
    assert settings.airflow.password is not None
    with pytest.raises(ConfigError) as of_secret:
        settings.airflow.password.read()
    with pytest.raises(ConfigError) as of_settings:
        load_settings(secret, {})
    assert str(of_secret.value) == f"secret file {secret} is not UTF-8"
    assert str(of_settings.value) == f"{secret}: is not UTF-8"


def test_a_key_that_stands_twice_is_told_by_its_place_alone(written) -> None:
    """The values of both, which may be secrets, are not repeated."""
    with pytest.raises(ConfigError) as caught:
        load_settings(written("airflow: {url: 'http://h'}\nconnections:\n  c: canary1\n  c: canary2\n"), {})
    assert caught.value.code == "bad-yaml"
    assert "watcher.yaml:4" in str(caught.value)
    assert "canary" not in str(caught.value)
