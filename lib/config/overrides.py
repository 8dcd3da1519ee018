"""``--set section.key=value``: single settings from the command line over those of the file."""

import json
from dataclasses import replace

from lib.config.document import MAX_DEPTH, Document, KeyPath, Value, parse_value
from lib.errors import ConfigError


def apply_overrides(document: Document, assignments: list[str]) -> Document:
    """Return the document with assignments merged in; later ones win.

    Args:
        document: What the file says; left as it is.
        assignments: Texts of the form ``section.key=value``; the value is read as YAML.

    Raises:
        ConfigError: If an assignment has no ``=``, an empty or too deep key, a value that is no YAML, or steps into
            something that is no section.
    """
    data = _copy_mappings(document.data)
    lines = dict(document.lines)
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        path = tuple(key.strip().split("."))
        if not separator or not all(path):
            raise ConfigError(f"--set {assignment}: expected section.key=value, for example --set training.lr=1e-4.")
        if len(path) > MAX_DEPTH:
            raise ConfigError(f"--set {assignment[:60]}...: nested deeper than {MAX_DEPTH} levels; no setting is.")
        _assign(data, path, parse_value(text, f"--set {assignment}"), assignment)
        lines = {place: line for place, line in lines.items() if place[: len(path)] != path}
    return replace(document, data=data, lines=lines)


def lay_over(document: Document, overlay: Document) -> Document:
    """Return the document with every setting of another one in its place; sections are merged.

    Args:
        document: What lies below; left as it is.
        overlay: What wins.
    """
    data = _copy_mappings(document.data)
    _merge(data, overlay.data)
    written = [place for place in overlay.lines if not isinstance(_at(overlay.data, place), dict)]
    overlays = document.overlays | dict.fromkeys(written, overlay.source)
    lines = document.lines | {place: overlay.lines[place] for place in written}
    return replace(document, data=data, lines=lines, overlays=overlays)


def _merge(data: dict[str, Value], over: dict[str, Value]) -> None:
    for key, value in over.items():
        below = data.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            _merge(below, value)
        else:
            data[key] = _copy_mappings(value) if isinstance(value, dict) else value


def _at(value: Value, place: KeyPath) -> Value:
    for step in place:
        if isinstance(value, dict):
            value = value[str(step)]
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step]
    return value


def assignment(key: str, value: Value) -> str:
    """Return ``section.key=value`` that is read back as exactly this value."""
    # JSON is YAML, but would escape an emoji as two halves, and YAML breaks lines at more characters than JSON does.
    text = "".join(c if c.isascii() else f"\\U{ord(c):08x}" for c in json.dumps(value, ensure_ascii=False))
    return f"{key}={text}"


def _copy_mappings(data: dict[str, Value]) -> dict[str, Value]:
    return {key: _copy_mappings(value) if isinstance(value, dict) else value for key, value in data.items()}


def _assign(data: dict[str, Value], path: tuple[str, ...], value: Value, assignment: str) -> None:
    for step in path[:-1]:
        inner = data.setdefault(step, {})
        if inner is None:
            inner = data[step] = {}
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {assignment}: {step!r} is a value ({inner!r}), not a section.")
        data = inner
    data[path[-1]] = value
