"""The documents tell the truth: every code, key, command, target and link in them exists, and none is left out."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel
from ruamel.yaml import YAML
from typer.testing import CliRunner

from watcher.cli.main import app
from watcher.errors import CODES
from watcher.events import metrics
from watcher.pipeline import model, pagination, tasks, trigger
from watcher.pipeline.load import load
from watcher.pipeline.watching import all_watch_keys
from watcher.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.M | re.S)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def words_of(name: str) -> set[str]:
    """Everything that a page shows as code, cut into words."""
    return {word for code in re.findall(r"`([^`\n]+)`", text_of(name)) for word in re.split(r"[^\w-]+", code)}


def section(page: str, heading: str) -> str:
    return re.split(r"^#{2,3} ", page.split(f"### {heading}\n", 1)[1], maxsplit=1, flags=re.M)[0]


def test_every_error_code_has_its_heading() -> None:
    """One heading per code, in the order of the list, and nothing else under that level."""
    assert re.findall(r"^### (.+)$", text_of("docs/errors.md"), re.M) == list(CODES)


@pytest.mark.parametrize("code", CODES)
def test_an_error_is_explained_in_its_own_words(code: str) -> None:
    """The section quotes the fix that the program prints, and says whether it is tried again."""
    told = section(text_of("docs/errors.md"), code)
    assert CODES[code].hint in told
    assert ("Tried again by itself." in told) == CODES[code].retried


def keys(kind: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in kind.model_fields.items()}


@pytest.mark.parametrize(
    "kind",
    [
        model.Pipeline,
        model.DatabaseSource,
        model.FilesystemSource,
        model.ApiSource,
        model.CustomSource,
        model.Ingest,
        pagination.Pagination,
        trigger.Trigger,
        trigger.Branch,
        tasks.Transformation,
        tasks.Validation,
        tasks.SnowflakeTask,
        tasks.Dependency,
        tasks.Retry,
        tasks.Retries,
        tasks.Monitoring,
        tasks.Alerting,
    ],
    ids=lambda kind: kind.__name__,
)
def test_every_key_of_a_pipeline_is_told(kind: type[BaseModel]) -> None:
    """No key is missing in docs/pipeline.md."""
    assert keys(kind) - words_of("docs/pipeline.md") == set()


def test_every_key_of_watch_is_told() -> None:
    """The keys of all methods are in docs/pipeline.md."""
    assert all_watch_keys() - words_of("docs/pipeline.md") == set()


def settings_keys(kind: type[BaseModel]) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        inner: Any = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and name != "alerting":
            yield from (f"{name}.{key}" for key in inner.model_fields)
        else:
            yield name


def test_the_settings_page_is_complete() -> None:
    """Its table names every key of the settings and no other."""
    table = text_of("docs/operations.md").split("## Settings", 1)[1].split("### Connections", 1)[0]
    told = {key for row in re.findall(r"^\| (`.+?) \|", table, re.M) for key in re.findall(r"`([\w.]+)`", row)}
    assert told == set(settings_keys(Settings))


def test_metrics_that_are_named_exist() -> None:
    """A metric in the documents is one that the daemon has."""
    known = {name for metric in vars(metrics).values() for name in names_of(metric)}
    named = {name for page in PAGES for name in re.findall(r"\bwatcher_[a-z_]+\b", page.read_text(encoding="utf-8"))}
    named -= {path.stem for path in (ROOT / "airflow" / "dags").glob("watcher_*.py")}  # those are DAGs
    assert len(named) > 4
    assert named <= known


def names_of(metric: Any) -> list[str]:
    return [family.name for family in metric.describe()] if isinstance(metric, MetricWrapperBase) else []


def test_commands_that_are_named_exist() -> None:
    """Each `watcher COMMAND` of the documents answers --help."""
    shown = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:`|^ *)watcher ([a-z]+)(?: (migrate|check)\b)?", shown, re.M))
    assert len(named) > 4
    for command in named:
        done = CliRunner().invoke(app, [*filter(None, command), "--help"])
        assert done.exit_code == 0, command


def test_targets_that_are_named_exist() -> None:
    """Each `make TARGET` of the documents is a target with a line in `make help`, and every one is in the documents."""
    listed = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = {line.split()[0] for line in listed.splitlines()}
    shown = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:`|^)make ([a-z]+)\b", shown, re.M))
    assert {"setup", "run", "test", "check", "format", "lint", "types", "imports", "bench", "soak", "lock"} <= targets
    assert {"run", "test"} <= named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file that exists, every anchor a heading of it."""
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pipelines_that_are_shown_are_valid(page: Path, tmp_path: Path) -> None:
    """Every YAML block with sources loads without a problem, in each of its environments; settings have known keys."""
    for number, (indent, language, body) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8"))):
        if language != "yaml":
            continue
        content = re.sub(rf"^{indent}", "", body, flags=re.M)
        loaded = YAML(typ="safe").load(content)
        if "sources" not in loaded:
            assert set(loaded) <= set(Settings.model_fields)
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / f"{loaded['name']}.yaml").write_text(content, encoding="utf-8")
        for environment in (None, *loaded.get("environments", {})):
            found = load(folder, environment=environment, variables={})
            assert [problem.render() for problem in found.problems] == []


def test_the_examples_are_valid() -> None:
    """The pipelines of `make run` load without a problem or warning."""
    found = load(ROOT / "pipelines", environment=None, variables={})
    assert [problem.render() for problem in found.problems] == []
    assert {file.pipeline.name for file in found.pipelines} == {"orders", "partner_files"}
