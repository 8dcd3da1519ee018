"""From a YAML file and overrides to a checked configuration, or one message with every fault in it."""

import json
from collections.abc import Sequence
from pathlib import Path
from reprlib import repr as short_repr
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lib.config.document import Document, KeyPath, Value, read_document
from lib.config.overrides import apply_overrides, lay_over
from lib.config.section import Section
from lib.errors import ConfigError, nearest

S = TypeVar("S", bound=Section)

_KIND: KeyPath = ("kind",)


def load_config(schema: type[S], path: Path, assignments: list[str] | None = None, overlays: Sequence[Path] = ()) -> S:
    """Read and check a configuration.

    Args:
        schema: Model of the whole configuration of one command.
        path: The YAML file; never written.
        assignments: ``section.key=value`` texts that override the files.
        overlays: Files whose settings replace those of the first, such as one for a platform.

    Raises:
        ConfigError: Listing every unknown key, wrong type and impossible value with its place.
    """
    return validate(schema, load_document(path, assignments or [], overlays))


def load_document(path: Path, assignments: list[str], overlays: Sequence[Path] = ()) -> Document:
    """Read a file, lay others over it and apply assignments; raises ``ConfigError`` for what is no YAML mapping."""
    document = read_document(path)
    for overlay in overlays:
        document = lay_over(document, read_document(overlay))
    return apply_overrides(document, assignments)


def validate(schema: type[S], document: Document) -> S:
    """Check a document against a schema; raises ``ConfigError`` like ``load_config``."""
    try:
        # Strict JSON mode: no silent conversion between types, but lists serve as tuples and text as paths.
        return schema.model_validate_json(json.dumps(document.data))
    except ValidationError as error:
        faults = _describe_all(schema, document, error.errors(include_url=False))
        heading = f"{document.source}: {len(faults)} {'fault' if len(faults) == 1 else 'faults'} in the configuration"
        raise ConfigError("\n  ".join([heading + ":", *faults])) from error


def _describe_all(schema: type[Section], document: Document, details: list[ErrorDetails]) -> list[str]:
    texts: dict[KeyPath, list[str]] = {}
    for detail in details:
        keys, owner = _locate(schema, document.data, detail["loc"])
        texts.setdefault(keys, []).append(_explain(owner, document.data, keys, detail))
    if _KIND in texts:
        # The other faults of a file that was written for another command are noise.
        return [f"{_describe(document, _KIND, texts[_KIND])} Is the file for another command?"]
    return [_describe(document, keys, found) for keys, found in texts.items() if not _explained_deeper(keys, texts)]


def _explained_deeper(keys: KeyPath, texts: dict[KeyPath, list[str]]) -> bool:
    """Return True if a fault lies within this place: then only the wrong members of a union complain here."""
    return any(len(other) > len(keys) and other[: len(keys)] == keys for other in texts)


def _describe(document: Document, keys: KeyPath, texts: list[str]) -> str:
    place = ".".join(str(key) for key in keys) or "the whole configuration"
    line = document.lines.get(keys)
    origin = f" of {document.overlays[keys]}" if keys in document.overlays else ""
    return f"{place}{f' (line {line}{origin})' if line else ''}: {', or '.join(dict.fromkeys(texts))}."


def _locate(schema: type[Section], data: Value, loc: KeyPath) -> tuple[KeyPath, type[BaseModel]]:
    """Return the loc without pydantic's marks of union members, and the model that owns its last key."""
    keys: list[str | int] = []
    owner: type[BaseModel] = schema
    annotation: object = schema
    for step in loc:
        model = _model_in(annotation)
        field = model.model_fields.get(str(step)) if model else None
        is_written = isinstance(data, dict) and step in data
        if not (field or is_written or isinstance(step, int)):
            continue
        keys.append(step)
        owner = model or owner
        annotation = field.annotation if field else annotation
        data = _value_at(data, (step,))
    return tuple(keys), owner


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model that an annotation names, also as a member of a union or inside a container."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for member in get_args(annotation) if (model := _model_in(member))), None)


def _explain(owner: type[BaseModel], data: Value, keys: KeyPath, detail: ErrorDetails) -> str:
    name = str(keys[-1]) if keys else ""
    if detail["type"] == "extra_forbidden":
        moved = owner.moved_keys.get(name) if issubclass(owner, Section) else None
        if moved:
            return f"this setting lives elsewhere now; write {moved}"
        return f"unknown key; nearest: {nearest(name, owner.model_fields)}"
    if detail["type"] == "missing":
        return "required, but not given"
    message = detail["msg"].removeprefix("Value error, ").removesuffix(".")
    got = _value_at(data, keys)
    # A rule between the keys of a section names them itself.
    shown = "" if detail["type"] == "value_error" and isinstance(got, dict) else f", got {short_repr(got)}"
    return f"{message[:1].lower()}{message[1:]}{shown}"


def _value_at(data: Value, keys: KeyPath) -> Value:
    for key in keys:
        if isinstance(data, dict):
            data = data.get(str(key))
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            data = data[key]
    return data
