"""YAML must be read as a physicist means it, and whatever is wrong must come out as a ConfigError with its place."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.config.document import MAX_BYTES, MAX_DEPTH, parse_document, parse_value, read_document
from lib.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("3E+2", 300.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-2.5", -2.5),
        ("-.inf", float("-inf")),
        ("12", 12),
        ("+7", 7),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("Yes", "Yes"),
        ("off", "off"),
        ("y", "y"),
        ("2024_01", "2024_01"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2024-01-31", "2024-01-31"),
        ("0b11", "0b11"),
        ("=", "="),
        ("<<", "<<"),
        ("'5'", "5"),
        ("[3, 3]", [3, 3]),
        ("{a: 1, b: [x, null]}", {"a": 1, "b": ["x", None]}),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    got = parse_value(text, "here")
    assert got == value
    # 1 == 1.0 == True: the type counts too.
    assert type(got) is type(value)


def test_not_a_number_is_read_as_a_float() -> None:
    value = parse_value(".nan", "here")
    assert isinstance(value, float)
    assert math.isnan(value)


def test_a_value_cannot_smuggle_in_a_second_key() -> None:
    with pytest.raises(ConfigError, match="not valid YAML"):
        parse_value("1\nother: 2", "here")


def test_lines_of_nested_keys_are_known() -> None:
    document = parse_document("a:\n  b: 1\n\n  c:\n    - d: 2\n", "file.yaml")
    assert document.data == {"a": {"b": 1, "c": [{"d": 2}]}}
    assert document.lines == {("a",): 1, ("a", "b"): 2, ("a", "c"): 4, ("a", "c", 0, "d"): 5}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\ufeff"])
def test_an_empty_document_is_an_empty_mapping(text: str) -> None:
    assert parse_document(text, "file.yaml").data == {}


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert parse_document("\ufeffa: 1\n", "file.yaml").data == {"a": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", r"file.yaml, line 3: the key 'a' stands twice \(first on line 1\)"),
        ("s:\n  a: 1\n  'a': 3\n", r"line 3: the key 'a' stands twice \(first on line 2\)"),
        ("a: &x 1\n", "line 1: anchors and aliases"),
        ("a: 1\nb: *a\n", "line 2: anchors and aliases"),
        ("a: &x [1]\n", "line 1: anchors and aliases"),
        ("a: 1\nb: !!int '5'\n", "line 2: the tag 'tag:yaml.org,2002:int' is not allowed"),
        ("a: !!int abc\n", "the tag .* is not allowed"),
        ("a: !!map abc\n", "the tag .* is not allowed"),
        ("a: !!python/object/apply:os.system [x]\n", "the tag .*os.system' is not allowed"),
        ("a: ! 1\n", "the tag '!' is not allowed"),
        ("a: [1, 2\n", r"line 2: not valid YAML \(while parsing a flow sequence, .*Check indentation"),
        ("a: 1\n b: 2\n", "line 2: not valid YAML"),
        ("a: *.root\n", "not valid YAML .*quote text"),
        ("a: 1\n---\nb: 2\n", "but found another document"),
        ("a: \x00\n", "not valid YAML"),
        ('a: "\\UFFFFFFFF"\n', r"file.yaml: not valid YAML \(Python int too large"),
        ('a: "\\U00110000"\n', r"file.yaml: not valid YAML \(chr"),
        ('a: "x\\0"\n', r"line 1: the character '\\x00' is not allowed"),
        ('a: "\\ud800"\n', r"the character '\\ud800' is not allowed"),
        ("? [1, 2]\n: 3\n", "line 1: a key must be plain text"),
        ("a: " + 41 * "9", "line 1: a number of 41 digits is no setting; expected at most 40"),
        ("- 1\n- 2\n", "file.yaml: expected a mapping of sections, got list"),
        ("just text", "file.yaml: expected a mapping of sections, got str"),
        ("a: " + "[" * 5000, "nested deeper than 20 levels"),
        ("a: " + "{x: " * 5000, "nested deeper than 20 levels"),
    ],
)
def test_what_is_ambiguous_or_hostile_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_document(text, "file.yaml")


def test_nesting_up_to_the_limit_is_accepted() -> None:
    depth = MAX_DEPTH - 1
    assert parse_document("a: " + "[" * depth + "]" * depth, "file.yaml").data["a"] is not None
    with pytest.raises(ConfigError, match="nested deeper"):
        parse_document("a: " + "[" * (depth + 1) + "]" * (depth + 1), "file.yaml")


# Text that is nearly YAML finds more than random characters do.
_FRAGMENTS = st.sampled_from(
    ["a", "b", ": ", ":", "\n", "\n  ", "- ", "[", "]", "{", "}", ", ", "'", '"', "\\", "&x ", "*x", "!!int ", "!"]
) | st.sampled_from(
    ["? ", "|\n", ">\n", "%", "@", "`", "#", "---\n", "...\n", "1e-4", "0x", "0o9", ".", "~", "<<", "\t", "\x85", "☃"]
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(st.text(), st.lists(_FRAGMENTS, max_size=30).map("".join)))
def test_no_text_whatsoever_raises_anything_but_a_config_error(text: str) -> None:
    try:
        document = parse_document(text, "fuzz.yaml")
    except ConfigError as error:
        assert str(error).startswith("fuzz.yaml")
    else:
        assert isinstance(document.data, dict)


def test_a_file_is_read_with_its_name_as_source(tmp_path: Path) -> None:
    path = tmp_path / "base.yaml"
    path.write_text("run_name: größer\n", encoding="utf-8")
    document = read_document(path)
    assert document.data == {"run_name": "größer"}
    assert document.source == str(path)


def test_a_missing_file_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "regressor.yaml").touch()
    with pytest.raises(ConfigError, match=r"regresor.yaml: no such file; nearest in its folder: regressor.yaml"):
        read_document(tmp_path / "regresor.yaml")
    with pytest.raises(ConfigError, match="no such file; nearest in its folder: none"):
        read_document(tmp_path / "nowhere" / "base.yaml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        read_document(tmp_path)


def test_a_file_beyond_the_size_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than 200000 bytes"):
        read_document(path)
    path.write_bytes(b"#" * MAX_BYTES)
    assert read_document(path).data == {}


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("run_name: größer\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin.yaml: not UTF-8 text \(byte 12\)"):
        read_document(path)
