"""YAML read strictly: YAML 1.2 scalars, no duplicate keys, no aliases, no tags, bounded size and depth.

PyYAML follows YAML 1.1, where ``1e-4`` is text, ``no`` a boolean, ``2024_01`` a number and ``12:30:45`` a number in
base 60. A physicist means none of these, so scalars are resolved as YAML 1.2's core schema does.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml

from lib.errors import ConfigError, nearest

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
KeyPath: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 200_000
MAX_DEPTH = 20
MAX_DIGITS = 40

# YAML's escapes can write what no file name, branch or JSON text may hold: control characters, half surrogate pairs.
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Document:
    """A YAML mapping with the place of each of its keys.

    Attributes:
        source: Name of the file, for messages.
        data: The mapping.
        lines: Line number, from 1, of each key path.
        overlays: Name of the file of each key path that another file has laid over this one.
    """

    source: str
    data: dict[str, Value]
    lines: dict[KeyPath, int]
    overlays: dict[KeyPath, str] = field(default_factory=dict)


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


class _Builder:
    """Turns the node graph of one document into plain values, noting lines and refusing what is ambiguous."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines: dict[KeyPath, int] = {}
        self.constructor = _CoreSchemaLoader("")

    def fault(self, node: yaml.Node, text: str) -> ConfigError:
        line = node.start_mark.line + 1 if node.start_mark else 1
        return ConfigError(f"{self.source}, line {line}: {text}")

    def build(self, node: yaml.Node, path: KeyPath) -> Value:
        if isinstance(node, yaml.MappingNode):
            return self.build_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
        return self.build_scalar(node)

    def build_scalar(self, node: yaml.Node) -> Value:
        text = node.value
        if found := _UNWRITABLE.search(text):
            raise self.fault(node, f"the character {found.group()!a} is not allowed in a setting.")
        if not node.tag.endswith(":int"):
            return self.constructor.construct_object(node)
        if len(text) > MAX_DIGITS:
            raise self.fault(node, f"a number of {len(text)} digits is no setting; expected at most {MAX_DIGITS}.")
        # PyYAML would read a leading zero as octal and underscores as digit groups.
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)

    def build_mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Value]:
        result: dict[str, Value] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.fault(key_node, "a key must be plain text.")
            key = key_node.value
            if key in result:
                first = self.lines[(*path, key)]
                raise self.fault(key_node, f"the key {key!r} stands twice (first on line {first}); keep one.")
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            result[key] = self.build(value_node, (*path, key))
        return result


def _refuse_extensions(text: str, source: str) -> None:
    """Refuse anchors, aliases, tags and deep nesting while parsing, before anything is built from them."""
    depth = 0
    for event in yaml.parse(text, Loader=_CoreSchemaLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        place = f"{source}, line {event.start_mark.line + 1 if event.start_mark else 1}"
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise ConfigError(f"{place}: anchors and aliases (&, *) are not allowed; write the value out.")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            raise ConfigError(f"{place}: the tag {event.tag!r} is not allowed; write the plain value.")
        if depth > MAX_DEPTH:
            raise ConfigError(f"{place}: nested deeper than {MAX_DEPTH} levels; no setting is.")


def _parse(text: str, source: str) -> tuple[Value, dict[KeyPath, int]]:
    """Return the value of YAML text and the line of each key path in it."""
    try:
        _refuse_extensions(text, source)
        node = yaml.compose(text, Loader=_CoreSchemaLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        cause = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(
            f"{source}, line {line}: not valid YAML ({cause}). Check indentation; quote text with special characters."
        ) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML lets chr() fail on escapes beyond Unicode.
        raise ConfigError(f"{source}: not valid YAML ({error}).") from error
    builder = _Builder(source)
    return (None if node is None else builder.build(node, ())), builder.lines


def parse_document(text: str, source: str) -> Document:
    """Parse YAML text into a mapping; an empty text is an empty mapping.

    Args:
        text: The document.
        source: What to call it in messages.

    Raises:
        ConfigError: If the text is not one YAML mapping, or uses what is refused; with the line.
    """
    data, lines = _parse(text, source)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError(f"{source}: expected a mapping of sections, got {type(data).__name__}.")
    return Document(source, data, lines)


def parse_value(text: str, source: str) -> Value:
    """Parse one value as the configuration file would: ``1e-4`` is a number, ``[3, 3]`` a list."""
    return _parse(text, source)[0]


def read_document(path: Path) -> Document:
    """Read a YAML file; raises ``ConfigError`` like ``parse_document``, and for files that cannot be read."""
    try:
        with path.open("rb") as file:
            # A pipe has no size to ask for beforehand.
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        candidates = (candidate.name for candidate in path.parent.glob("*.y*ml"))
        raise ConfigError(f"{path}: no such file; nearest in its folder: {nearest(path.name, candidates)}.") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes; this is no configuration.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    return parse_document(text, str(path))
