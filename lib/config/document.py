"""YAML read strictly: YAML 1.2 scalars, no duplicate keys, no aliases, no tags, bounded size and depth.

PyYAML follows YAML 1.1, where ``1e-4`` is text, ``no`` a boolean, ``2024_01`` a number and ``12:30:45`` a number in
base 60. A physicist means none of these, so scalars are resolved as YAML 1.2's core schema does.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

from lib.errors import ConfigError

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
KeyPath: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 20


@dataclass(frozen=True)
class Document:
    """A YAML mapping with the place of each of its keys.

    Attributes:
        source: Name of the file, for messages.
        data: The mapping.
        lines: Line number, from 1, of each key path.
    """

    source: str
    data: dict[str, Value]
    lines: dict[KeyPath, int]


class _CoreSchemaLoader(yaml.SafeLoader):
    """A safe loader that resolves plain scalars by YAML 1.2's core schema."""


_CoreSchemaLoader.yaml_implicit_resolvers = {}
_RESOLVERS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
)
for _name, _pattern, _first in _RESOLVERS:
    _CoreSchemaLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), _first)

_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")}


class _Builder:
    """Turns the node graph of one document into plain values, noting lines and refusing what is ambiguous."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines: dict[KeyPath, int] = {}
        self.constructor = _CoreSchemaLoader("")

    def fail(self, node: yaml.Node, text: str) -> ConfigError:
        return ConfigError(f"{self.source}, line {node.start_mark.line + 1}: {text}")

    def build(self, node: yaml.Node, path: KeyPath) -> Value:
        if len(path) > MAX_DEPTH:
            raise self.fail(node, f"nested deeper than {MAX_DEPTH} levels; no setting is.")
        if node.tag not in _PLAIN_TAGS:
            raise self.fail(node, f"the tag {node.tag!r} is not allowed; write the plain value.")
        if isinstance(node, yaml.MappingNode):
            return self.build_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
        return self.build_scalar(node)

    def build_scalar(self, node: yaml.Node) -> Value:
        text = node.value
        if node.tag.endswith(":int"):
            # PyYAML would read a leading zero as octal and underscores as digit groups.
            if len(text) > 40:
                raise self.fail(node, f"a number of {len(text)} digits is not a setting.")
            return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
        return self.constructor.construct_object(node)

    def build_mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Value]:
        result: dict[str, Value] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.fail(key_node, "a key must be plain text.")
            key = key_node.value
            if key in result:
                first = self.lines[(*path, key)]
                raise self.fail(key_node, f"the key {key!r} stands twice (first on line {first}); keep one.")
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            result[key] = self.build(value_node, (*path, key))
        return result


def _refuse_aliases(text: str, source: str) -> None:
    for depth, event in _depths(yaml.parse(text, Loader=_CoreSchemaLoader)):
        place = f"{source}, line {event.start_mark.line + 1 if event.start_mark else 1}"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ConfigError(f"{place}: anchors and aliases (&, *) are not allowed; write the value out.")
        if depth > MAX_DEPTH + 1:
            raise ConfigError(f"{place}: nested deeper than {MAX_DEPTH} levels; no setting is.")


def _depths(events: Iterable[yaml.Event]) -> Iterator[tuple[int, yaml.Event]]:
    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        yield depth, event


def parse_document(text: str, source: str) -> Document:
    """Parse YAML text into a mapping.

    Args:
        text: The document.
        source: What to call it in messages.

    Raises:
        ConfigError: If the text is not one YAML mapping, or uses what is refused; with the line.
    """
    try:
        _refuse_aliases(text, source)
        node = yaml.compose(text, Loader=_CoreSchemaLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{source}, line {line}: not valid YAML ({error.problem}). Check indentation.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{source}: not valid YAML ({error}).") from error
    if node is None:
        return Document(source, {}, {})
    builder = _Builder(source)
    data = builder.build(node, ())
    if not isinstance(data, dict):
        raise ConfigError(f"{source}: expected a mapping of sections, got {type(data).__name__}.")
    return Document(source, data, builder.lines)


def read_document(path: Path) -> Document:
    """Read a YAML file; raises ``ConfigError`` like ``parse_document``, and for files that cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes; this is no configuration.")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        near = sorted(str(p) for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        raise ConfigError(f"{path}: no such file. In its folder: {', '.join(near[:8]) or 'no YAML file'}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}).") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    return parse_document(text, str(path))


def parse_value(text: str, source: str) -> Value:
    """Parse one value as the configuration file would: ``1e-4`` is a number, ``[3, 3]`` a list."""
    return parse_document(f"value: {text}", source).data["value"]
