"""Pipelines as YAML for people: short, commented where something must be filled in, safe whatever a DAG's texts hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from watcher.adopt.drafts import Draft
from watcher.adopt.found import AirflowSensor

SCHEMA_LINE = "# yaml-language-server: $schema=../pipeline.schema.json"
WIDTH = 110
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_WORDS = frozenset({"true", "false", "null", "none", "yes", "no", "on", "off", "y", "n"})

Sources = Sequence[tuple[AirflowSensor, Draft]]


def render(name: str, dag_id: str, sources: Sources) -> str:
    """The whole file of a pipeline that runs an existing DAG."""
    first = sources[0][0]
    lines = [
        SCHEMA_LINE,
        *_comment(f"Made from the Airflow sensors of DAG {dag_id} in {first.file.name}; to finish it:", ""),
    ]
    lines += _comment("- in the DAG, take these tasks out and set schedule=None: the daemon starts its runs", "")
    if any(not made.ready for _, made in sources):
        lines += _comment("- here, do what the comments say, and take `enabled: false` out", "")
    lines += [f"name: {scalar(name)}", f"dag_id: {scalar(dag_id)}"]
    ready = [made for _, made in sources if made.ready]
    if len(ready) < len(sources):  # with a part of its conditions the DAG would run too early
        lines.append("enabled: false")
    lines.append("sources:")
    for sensor, made in sources:
        lines += _source(sensor, made)
    return "\n".join([*lines, *_trigger(ready)]) + "\n"


def _source(sensor: AirflowSensor, made: Draft) -> Iterator[str]:
    yield from _comment(f"{sensor.name} {sensor.task_id}, line {sensor.line}", "  ")
    for need in made.needs:
        yield from _comment(f"TO DO: {need}", "  ")
    for note in made.notes:
        yield from _comment(f"note: {note}", "  ")
    yield f"  - source_id: {scalar(made.source_id)}"
    if not made.ready:
        yield "    enabled: false"
    yield from _keys(made.keys, "    ")


def _trigger(ready: Sequence[Draft]) -> list[str]:
    if len(ready) > 1:  # the DAG went on when all of them had seen something
        branches = [f"    - {{source: {scalar(made.source_id)}, changes: 1}}" for made in ready]
        wait = "  # max_wait: 1d    # without it, what waits for the others waits for ever"
        return ["trigger:", "  all:", *branches, "  settle: 5s", wait]
    return ["trigger: {changes: 1, settle: 5s}"] if ready else []


def _keys(keys: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in keys.items():
        if not isinstance(value, Mapping):
            yield from _value(key, value, indent)
        elif len(flow := f"{indent}{scalar(key)}: {_flow(value)}") <= WIDTH and "\\n" not in flow:
            yield flow
        else:
            yield f"{indent}{scalar(key)}:"
            yield from _keys(value, indent + "  ")


def _value(key: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value and (lines := _block(value)):
        yield f"{indent}{scalar(key)}: |-"
        yield from (f"{indent}  {line}".rstrip() for line in lines)
    else:
        yield f"{indent}{scalar(key)}: {scalar(value)}"


def _block(text: str) -> list[str]:
    """The lines of a long text, where it can stand as such; empty where only quotes keep it whole."""
    lines = _escaped(text).strip("\n").expandtabs(4).split("\n")
    deepest = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
    cut = [line[deepest:].rstrip() for line in lines]
    safe = cut[0] and not cut[0].startswith(" ") and all(line.isprintable() for line in cut)
    return cut if safe else []


def _flow(mapping: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{scalar(key)}: {scalar(value)}" for key, value in mapping.items()) + "}"


def scalar(value: Any) -> str:
    """A value on one line. A text is quoted unless it is plainly a word; `$` stays itself.

    >>> scalar("public.orders"), scalar("*.csv"), scalar("${HOME}"), scalar("off"), scalar(5)
    ('public.orders', '"*.csv"', '"$${HOME}"', '"off"', '5')
    """
    if not isinstance(value, str):
        return json.dumps(value)
    simple = _PLAIN.fullmatch(value) or re.fullmatch(r"[1-9][0-9]*(ms|s|m|h|d)", value)
    if simple and value.lower() not in _WORDS:
        return value
    quoted = json.dumps(_escaped(value), ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in quoted)


def _escaped(text: str) -> str:
    return text.replace("$", "$$")


def _comment(text: str, indent: str) -> list[str]:
    """Text of a stranger as a comment: printable, so that it cannot begin a line of its own."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text)
    return [f"{indent}# {clean[:400]}"]
