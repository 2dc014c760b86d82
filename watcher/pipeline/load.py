"""A folder of YAML to pipelines and problems: all of them in one pass, each with its place, and never an exception."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from watcher.errors import ConfigError
from watcher.pipeline.advice import advise
from watcher.pipeline.availability import unavailable
from watcher.pipeline.checks import check
from watcher.pipeline.files import defaults_above, list_files
from watcher.pipeline.layers import Layers, with_defaults
from watcher.pipeline.masks import masked
from watcher.pipeline.model import Pipeline
from watcher.pipeline.problems import Problem, summary
from watcher.pipeline.reader import Reading, read_file
from watcher.pipeline.refusals import nearest
from watcher.pipeline.tree import Entry, Fields, Items, find, places
from watcher.pipeline.trigger import NO_TRIGGER
from watcher.pipeline.validation import Validated, validate, validate_defaults
from watcher.pipeline.variables import Expander


@dataclass(frozen=True, slots=True)
class PipelineFile:
    """A valid pipeline and the file it came from."""

    path: Path
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a folder gave: the pipelines without any error, all problems in the order of the files, and how many files."""

    pipelines: tuple[PipelineFile, ...]
    problems: tuple[Problem, ...]
    files: int

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep a file from being loaded."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    def summary(self) -> str:
        """One line for people, to stand below the problems."""
        return summary(self.problems, self.files, len(self.pipelines))


def load(
    folder: Path, *, environment: str | None = None, variables: Mapping[str, str], availability: bool = True
) -> Loaded:
    """Read every pipeline below a folder as `environment` has it. With `availability` off, keys of later versions pass."""
    listing = list_files(folder)
    session = _Session(folder, environment, variables, availability)
    judged = [session.judge(path) for path in listing.paths]
    problems = [*listing.problems, *(problem for each in judged for problem in each.problems)]
    problems += _unknown_environment(folder, environment, judged)
    twice = tuple(_twice(judged))
    refused = {problem.path for problem in twice}
    valid = (PipelineFile(each.path, each.pipeline) for each in judged if each.pipeline and each.path not in refused)
    return Loaded(tuple(valid), _tidy([*problems, *twice]), len(listing.paths))


def load_file(
    path: Path,
    *,
    root: Path | None = None,
    environment: str | None = None,
    variables: Mapping[str, str],
    availability: bool = True,
) -> Loaded:
    """Read one file with the `_defaults.yaml` between `root` (its own folder when None) and itself."""
    judged = _Session(root or path.parent, environment, variables, availability).judge(path)
    pipelines = (PipelineFile(path, judged.pipeline),) if judged.pipeline else ()
    return Loaded(pipelines, _tidy(judged.problems), 1)


def show(path: Path, *, root: Path | None = None, environment: str | None = None, variables: Mapping[str, str]) -> str:
    """The file as it is understood, everything merged and every default written out, as YAML with its secrets masked.

    Raises ConfigError with all problems when the file is not valid.
    """
    loaded = load_file(path, root=root, environment=environment, variables=variables, availability=False)
    if not loaded.pipelines:
        told = "\n\n".join(problem.render() for problem in loaded.errors)
        raise ConfigError(f"{told}\n\n{loaded.summary()}", code=loaded.errors[0].code)
    out = StringIO()
    writer = YAML(typ="rt", pure=True)
    writer.width = 120
    body: Any = loaded.pipelines[0].pipeline.model_dump(mode="json", by_alias=True, exclude_none=True)
    writer.dump(body, out)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class _Judged:
    """One file: its pipeline when it has no error, its problems, the environments it knows, and where its name stands."""

    path: Path
    pipeline: Pipeline | None
    problems: tuple[Problem, ...]
    environments: tuple[str, ...] = ()
    name: tuple[str, Problem] | None = None


@dataclass(slots=True)
class _Session:
    """One pass over a folder; each `_defaults.yaml` is read once."""

    root: Path
    environment: str | None
    variables: Mapping[str, str]
    availability: bool
    readings: dict[Path, Reading] = field(default_factory=dict)

    def judge(self, path: Path) -> _Judged:
        above = [self._defaults(each) for each in defaults_above(path, self.root)]
        own = read_file(path, path)
        readings = [*above, own]
        problems = [problem for reading in readings for problem in reading.problems]
        trees = [reading.tree for reading in readings if reading.tree is not None]
        if own.tree is None or len(trees) < len(readings):
            return _Judged(path, None, masked(problems, trees))
        layers = Layers(trees)
        chosen = self._variant(layers, self.environment)
        problems += chosen.problems
        for name in layers.environments:
            if name != self.environment:
                problems += self._elsewhere(layers, name)
        problems += layers.problems
        told = _tidy(masked(problems, trees))
        valid = not any(problem.severity == "error" for problem in told)
        return _Judged(path, chosen.pipeline if valid else None, told, layers.environments, _named(chosen))

    def _defaults(self, path: Path) -> Reading:
        if path not in self.readings:
            self.readings[path] = read_file(path, path)
        return self.readings[path]

    def _variant(self, layers: Layers, environment: str | None) -> Validated:
        """The pipeline as one environment has it, with everything that can be said about it."""
        expander = Expander(self.variables)
        validated, resolved = _resolve(layers, environment, expander)
        problems = [*expander.problems, *validated.problems]
        pipeline = _completed(validated.pipeline) if validated.pipeline else None
        if pipeline is None:
            return Validated(None, validated.tree, tuple(problems))
        problems += check(pipeline, validated.tree, resolved)
        if self.availability:
            problems += unavailable(pipeline, validated.tree)
        if not problems:
            problems += advise(pipeline, validated.tree)
            problems += _idle_watch(pipeline, layers, validated.tree)
        return Validated(pipeline, validated.tree, tuple(problems))

    def _elsewhere(self, layers: Layers, environment: str) -> Iterator[Problem]:
        """What is wrong inside the block of an environment that does not apply now; its variables may not be set here."""
        expander = Expander(self.variables, lenient=True)
        validated, resolved = _resolve(layers, environment, expander)
        pipeline = _completed(validated.pipeline) if validated.pipeline else None
        checked = check(pipeline, validated.tree, resolved) if pipeline else ()
        blocks = (layer.fields("environments") for layer in layers.files)
        inside = {place for block in blocks if block for place in places(block.get(environment))}
        for problem in (*validated.problems, *checked):
            if (problem.path, problem.line, problem.column) in inside:
                yield problem


def _resolve(layers: Layers, environment: str | None, expander: Expander) -> tuple[Validated, Fields]:
    """The layers merged, expanded and judged, and the tree before anything was left out of it."""
    expanded = expander.expand(layers.merged(environment))
    tree = expanded if isinstance(expanded, Fields) else Fields(expanded.place)
    resolved = with_defaults(tree)
    validated = validate(resolved, expander.blanks)
    problems = (*validate_defaults(tree.get("defaults")), *validated.problems)
    return Validated(validated.pipeline, validated.tree, problems), resolved


def _completed(pipeline: Pipeline) -> Pipeline:
    """The trigger that a file without trigger and schedule has; no watching where only the clock runs the pipeline."""
    if pipeline.trigger is not None:
        return pipeline
    if pipeline.schedule is None:
        return pipeline.model_copy(update={"trigger": NO_TRIGGER})
    quiet = tuple(source.model_copy(update={"watch": None}) for source in pipeline.sources)
    return pipeline.model_copy(update={"sources": quiet})


def _idle_watch(pipeline: Pipeline, layers: Layers, tree: Fields) -> Iterator[Problem]:
    if pipeline.trigger is not None:
        return
    sources = tree.get("sources")
    own = layers.files[-1].get("sources")
    written = own.items if isinstance(own, Items) else ()
    for place, _ in enumerate(sources.items if isinstance(sources, Items) else ()):
        item = written[place] if place < len(written) else None
        if isinstance(item, Fields) and item.fields("watch") is not None:
            message = "watch has no effect: with a schedule and no trigger the clock alone runs the pipeline"
            where = find(tree, ("sources", place, "watch"), key=True)
            yield where.problem("bad-value", message, "add `trigger:`, or take watch out", "warning")


def _named(validated: Validated) -> tuple[str, Problem] | None:
    name = validated.tree.text("name")
    entry: Entry | None = validated.tree.entries.get("name")
    if name is None or entry is None:
        return None
    return name, find(validated.tree, ("name",)).problem("duplicate-name", "", "rename one of the two")


def _twice(judged: Iterable[_Judged]) -> Iterator[Problem]:
    """The name of a pipeline is taken by the first file, in the order of paths; a second one is refused."""
    first: dict[str, Problem] = {}
    for each in judged:
        if each.name is None:
            continue
        name, here = each.name
        known = first.setdefault(name, here)
        if known is not here:
            message = f'pipeline "{name}" stands twice, first in {known.path.as_posix()}:{known.line}'
            yield Problem(
                here.path, here.line, here.column, here.code, message, here.hint, "error", here.text, here.width
            )


def _unknown_environment(folder: Path, environment: str | None, judged: Iterable[_Judged]) -> Iterator[Problem]:
    known = sorted({name for each in judged for name in each.environments})
    if environment is not None and known and environment not in known:
        listed = f"they have: {', '.join(known[:8])}"
        message = f'no file has the environment "{environment}"; {listed}'
        yield Problem(folder, 1, 1, "unknown-environment", message, nearest(environment, known))


def _tidy(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """By file, line and column; the same thing said once."""
    said = {(each.path, each.line, each.column, each.code, each.message): each for each in problems}
    return tuple(sorted(said.values(), key=lambda each: (each.path, each.line, each.column, each.severity)))
