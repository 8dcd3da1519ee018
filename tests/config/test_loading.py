"""A configuration is right in every value, or every fault of it is told at once."""

import json
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError, model_validator

from lib.config import Section, load_config
from lib.config.document import Document, parse_document
from lib.config.loading import validate
from lib.config.overrides import apply_overrides
from lib.errors import ConfigError


class Volume(Section):
    u_max: float = Field(23.9, gt=0)
    """Bound in cm."""


class Model(Section):
    moved_keys: ClassVar[dict[str, str]] = {"dim": "model.width"}

    width: int = Field(64, ge=8)
    heads: int = 8
    pool: tuple[int, int] | None = (3, 3)
    kind: Literal["plain", "deep"] = "plain"

    @model_validator(mode="after")
    def _fits(self) -> "Model":
        if self.width % self.heads:
            raise ValueError("width must be a multiple of heads.")
        return self


class Training(Section):
    lr: float = 1e-3
    amp: bool = True
    path: str | list[str] = "x"
    output: Path = Path("artifacts")
    fiducial: Volume | bool = False


class Whole(Section):
    name: str
    model: Model = Model()
    training: Training = Training()
    tasks: dict[str, Volume] = Field(default_factory=dict)
    volumes: list[Volume] = Field(default_factory=list)


def check(text: str) -> Whole:
    return validate(Whole, parse_document(text, "file.yaml"))


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(text)
    heading, *lines = str(caught.value).splitlines()
    assert heading.startswith(f"file.yaml: {len(lines)} fault")
    return [line.strip() for line in lines]


def test_values_reach_their_types() -> None:
    config = check(
        "name: 2024_01\nmodel: {pool: [5, 1], kind: deep}\n"
        "training: {lr: 1, output: a/b, path: [x, y], fiducial: true}\n"
        "tasks: {energy: {u_max: 2}}\n"
    )
    assert config.name == "2024_01"
    assert config.model == Model(pool=(5, 1), kind="deep")
    assert config.training == Training(lr=1.0, output=Path("a/b"), path=["x", "y"], fiducial=True)
    assert config.tasks["energy"].u_max == 2.0


def test_a_file_and_assignments_make_one_configuration(tmp_path: Path) -> None:
    path = tmp_path / "base.yaml"
    path.write_text("name: run\ntraining:\n  lr: 1e-2\n")
    content = path.read_bytes()
    config = load_config(Whole, path, ["training.lr=1e-4", "model.width=128"])
    assert (config.training.lr, config.model.width) == (1e-4, 128)
    assert load_config(Whole, path).training.lr == 1e-2
    assert path.read_bytes() == content


def test_a_section_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        check("name: x").model.width = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.width", "true"),
        ("model.width", "'64'"),
        ("model.width", "64.5"),
        ("model.width", "64.0"),
        ("model.width", "null"),
        ("model.width", "4"),
        ("training.lr", "'1e-4'"),
        ("training.lr", "fast"),
        ("training.lr", "true"),
        ("training.lr", ".nan"),
        ("training.lr", ".inf"),
        ("training.lr", "1e999"),
        ("training.amp", "1"),
        ("training.amp", "no"),
        ("name", "5"),
        ("name", "true"),
        ("model.kind", "Plain"),
        ("model.pool", "[3]"),
        ("model.pool", "[3, 3, 3]"),
        ("model.pool", "[3, x]"),
        ("training.output", "7"),
    ],
)
def test_a_value_of_another_type_is_never_converted(key: str, value: str) -> None:
    section, _, name = key.rpartition(".")
    text = f"name: x\n{section}:\n  {name}: {value}\n" if section else f"name: {value}\n"
    (fault,) = faults(text)
    assert fault.startswith(key)


def test_all_faults_are_told_at_once_with_line_and_nearest_name() -> None:
    text = "model:\n  wdth: 3\n  kind: depe\n  dim: 5\ntraining:\n  lr: fast\n  amp: 1\nmodle: {}\n"
    assert faults(text) == [
        "name: required, but not given.",
        "model.kind (line 3): input should be 'plain' or 'deep', got 'depe'.",
        "model.wdth (line 2): unknown key; nearest: width.",
        "model.dim (line 4): this setting lives elsewhere now; write model.width.",
        "training.lr (line 6): input should be a valid number, got 'fast'.",
        "training.amp (line 7): input should be a valid boolean, got 1.",
        "modle (line 8): unknown key; nearest: model, volumes.",
    ]


def test_one_fault_is_told_in_the_singular() -> None:
    with pytest.raises(ConfigError, match=r"^file.yaml: 1 fault in the configuration:\n"):
        check("{}")


def test_a_rule_between_keys_is_told_at_its_section() -> None:
    assert faults("name: x\nmodel:\n  width: 65\n") == ["model (line 2): width must be a multiple of heads."]


def test_a_fault_inside_a_union_is_told_at_its_own_key() -> None:
    assert faults("name: x\ntraining:\n  fiducial:\n    u_mx: 3\n") == [
        "training.fiducial.u_mx (line 4): unknown key; nearest: u_max."
    ]
    assert faults("name: x\ntraining: {fiducial: {u_max: -3}}\n") == [
        "training.fiducial.u_max (line 2): input should be greater than 0, got -3."
    ]


def test_a_value_that_fits_no_member_of_a_union_is_told_once() -> None:
    (fault,) = faults("name: x\ntraining: {fiducial: 5}\n")
    assert fault.startswith("training.fiducial (line 2): ")
    assert "or input should be a valid boolean, got 5." in fault
    (fault,) = faults("name: x\ntraining: {path: [1]}\n")
    assert fault == "training.path.0: input should be a valid string, got 1."


def test_faults_inside_containers_keep_their_keys_and_positions() -> None:
    assert faults("name: x\ntasks:\n  energy: {u_max: 0}\n  uvwFI: {v_max: 1}\nvolumes:\n  - u_max: a\n") == [
        "tasks.energy.u_max (line 3): input should be greater than 0, got 0.",
        "tasks.uvwFI.v_max (line 4): unknown key; nearest: u_max.",
        "volumes.0.u_max (line 6): input should be a valid number, got 'a'.",
    ]
    assert faults("name: x\nmodel: {pool: [3]}\n") == ["model.pool.1: required, but not given."]


def test_a_long_value_is_shortened_in_the_message() -> None:
    (fault,) = faults(f"name: [{'a' * 5000}]\n")
    assert len(fault) < 120


def test_a_fault_of_an_assignment_names_no_line() -> None:
    document = apply_overrides(parse_document("name: x", "file.yaml"), ["name=5"])
    with pytest.raises(ConfigError, match=r"\n  name: input should be a valid string, got 5\.$"):
        validate(Whole, document)


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
_KNOWN = st.sampled_from([*Whole.model_fields, *Model.model_fields, *Training.model_fields, "dim", "u_max"])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.dictionaries(_KNOWN, st.dictionaries(_KNOWN, _VALUES, max_size=4) | _VALUES, max_size=5))
def test_no_mapping_whatsoever_raises_anything_but_a_config_error(data: dict[str, object]) -> None:
    try:
        config = validate(Whole, Document("fuzz.yaml", data, {}))  # type: ignore[arg-type]
    except ConfigError as error:
        assert "fault" in str(error)
    else:
        assert json.loads(config.model_dump_json())["name"] == data["name"]
