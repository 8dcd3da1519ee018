"""From a YAML file and overrides to a checked configuration, or one message with every fault in it."""

import json
from pathlib import Path
from types import UnionType
from typing import TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lib.config.document import Document, Value, read_document
from lib.config.overrides import apply_overrides
from lib.config.section import Section
from lib.errors import ConfigError, nearest

S = TypeVar("S", bound=Section)


def load_config(schema: type[S], path: Path, assignments: list[str] | None = None) -> S:
    """Read and check a configuration.

    Args:
        schema: Model of the whole configuration of one command.
        path: The YAML file; never written.
        assignments: ``section.key=value`` texts that override the file.

    Raises:
        ConfigError: Listing every unknown key, wrong type and impossible value with its place.
    """
    return validate(schema, apply_overrides(read_document(path), assignments or []))


def validate(schema: type[S], document: Document) -> S:
    """Check a document against a schema; raises ``ConfigError`` like ``load_config``."""
    try:
        # Strict JSON mode: no silent conversion between types, but lists serve as tuples and text as paths.
        return schema.model_validate_json(json.dumps(document.data))
    except ValidationError as error:
        faults = [_describe(schema, document, detail) for detail in error.errors(include_url=False)]
        heading = f"{document.source}: {len(faults)} {'fault' if len(faults) == 1 else 'faults'} in the configuration"
        raise ConfigError("\n  ".join([heading + ":", *dict.fromkeys(faults)])) from error


def _describe(schema: type[Section], document: Document, detail: ErrorDetails) -> str:
    keys, owner = _walk(schema, detail["loc"])
    place = ".".join(str(key) for key in keys) or "the whole configuration"
    line = document.lines.get(keys)
    where = f"{place} (line {line})" if line else place
    return f"{where}: {_explain(owner, document, keys, detail)}"


def _walk(schema: type[Section], loc: tuple[str | int, ...]) -> tuple[tuple[str | int, ...], type[BaseModel]]:
    """Return the loc without pydantic's marks of union members, and the model that owns its last key."""
    keys: list[str | int] = []
    owner: type[BaseModel] = schema
    current: type[BaseModel] | None = schema
    for step in loc:
        if current is None:
            # Inside a plain value: only list positions and keys of free mappings are real places.
            if isinstance(step, int):
                keys.append(step)
            continue
        owner = current
        keys.append(step)
        field = current.model_fields.get(str(step))
        current = _model_of(field.annotation) if field else None
    return tuple(keys), owner


def _model_of(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {Union, UnionType}:
        return next((model for member in get_args(annotation) if (model := _model_of(member))), None)
    return None


def _explain(owner: type[BaseModel], document: Document, keys: tuple[str | int, ...], detail: ErrorDetails) -> str:
    name = str(keys[-1]) if keys else ""
    if detail["type"] == "extra_forbidden":
        moved = owner.moved_keys.get(name) if issubclass(owner, Section) else None
        if moved:
            return f"this setting lives elsewhere now; write {moved}."
        return f"unknown key; nearest: {nearest(name, owner.model_fields)}."
    if detail["type"] == "missing":
        return "required, but not given."
    got = _value_at(document.data, keys)
    message = detail["msg"].removeprefix("Value error, ")
    return f"{message[:1].lower()}{message[1:]}, got {got!r}."


def _value_at(data: Value, keys: tuple[str | int, ...]) -> Value:
    for key in keys:
        if isinstance(data, dict):
            data = data.get(str(key))
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            data = data[key]
    return data
