"""The JSON Schema that editors use, made from the very models that validate, so that the two cannot drift."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final, TypeAlias

from pydantic import TypeAdapter

from watcher.pipeline.layers import ALIASES, ONLY_OUTSIDE, SOURCE_ALIASES
from watcher.pipeline.model import Pipeline
from watcher.pipeline.sources import SOURCE_CLASSES
from watcher.pipeline.values import format_duration
from watcher.pipeline.watching import METHODS

Schema: TypeAlias = dict[str, Any]
_DURATION: Final = TypeAdapter(timedelta)
_VARIABLE: Final[Schema] = {"type": "string", "pattern": r"^\$\{.+\}$"}
_FIXED: Final = ("source_type", "method", "version")
"""Keys that a variable cannot fill, since they say what the other keys mean."""


def json_schema() -> Schema:
    """The schema of a pipeline file as people write it: aliases, `auto`, `defaults:` and `environments:` included."""
    schema = Pipeline.model_json_schema(by_alias=True, mode="validation")
    schemas: Schema = schema["$defs"]
    watches = {kind: _watch(kind, schemas) for kind in SOURCE_CLASSES}
    for kind, model in SOURCE_CLASSES.items():
        _open_source(schemas[model.__name__], watches[kind])
    _polish(schema)
    properties: Schema = schema["properties"]
    properties.update({alias: properties[key] for alias, key in ALIASES.items()})
    properties["defaults"] = _defaults(watches, schemas)
    properties["environments"] = _environments(schema, schemas)
    schema["title"] = "Watcher pipeline"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _watch(kind: str, schemas: Schema) -> Schema:
    """What may stand in the `watch:` of a source_type: the keys of all its methods, none of them required."""
    names = dict.fromkeys(model.__name__ for model in METHODS[kind].values())
    for name in names:
        if name not in schemas:
            raise KeyError(name)
    properties = _joined(schemas[name]["properties"] for name in names)
    methods = ["auto", *METHODS[kind], *(["log_based"] if "log" in METHODS[kind] else [])]
    properties["method"] = {"enum": methods}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _joined(blocks: Iterable[Schema]) -> Schema:
    joined: Schema = {}
    for block in blocks:
        for key, value in block.items():
            known = joined.get(key, value)
            joined[key] = value if known == value else {"anyOf": [known, value]}
    return joined


def _open_source(source: Schema, watch: Schema) -> None:
    properties: Schema = source["properties"]
    properties["watch"] = {"anyOf": [{"const": False}, {"type": "null"}, watch]}
    properties.update({alias: properties[key] for alias, key in SOURCE_ALIASES.items() if key in properties})
    source["required"] = sorted({*source["required"], "source_type"})


def _defaults(watches: Schema, schemas: Schema) -> Schema:
    watch = {"type": "object", "properties": _joined(each["properties"] for each in watches.values())}
    source: Schema = schemas["DatabaseSource"]["properties"]
    properties = {key: source[key] for key in ("connection", "freshness", "ingest")}
    properties["watch"] = {**watch, "additionalProperties": False}
    properties["retries"] = {"$ref": "#/$defs/Retries"}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _environments(schema: Schema, schemas: Schema) -> Schema:
    """Every key of a pipeline but those that cannot differ; sources are addressed by their source_id."""
    sources = [schemas[model.__name__]["properties"] for model in SOURCE_CLASSES.values()]
    one = {"type": "object", "properties": _joined(sources), "additionalProperties": False}
    properties = {key: value for key, value in schema["properties"].items() if key not in ONLY_OUTSIDE}
    properties["sources"] = {"type": "object", "additionalProperties": one}
    overlay = {"type": ["object", "null"], "properties": properties, "additionalProperties": False}
    return {"type": "object", "additionalProperties": overlay}


def _polish(node: Any) -> None:
    """Names people see, units as they write them, and `${VAR}` beside every closed list of words."""
    if isinstance(node, list):
        for item in node:
            _polish(item)
    if not isinstance(node, dict):
        return
    for name, inner in node.get("properties", {}).items():
        inner.pop("title", None)
        if "enum" in inner and name not in _FIXED:
            node["properties"][name] = {"anyOf": [inner, _VARIABLE]}
    if node.get("type") == "array":
        for length, items in (("minLength", "minItems"), ("maxLength", "maxItems")):
            if length in node:
                node[items] = node.pop(length)
    if node.get("examples") == ["30s", "10m"] and str(node.get("default")).startswith("P"):
        node["default"] = format_duration(_DURATION.validate_python(node["default"], strict=False))
    for value in node.values():
        _polish(value)
