"""The configuration of each command."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from lib.cli.schemas import SCHEMAS, InpainterConfig, MaeConfig, RegressorConfig
from lib.config import Section, load_config
from lib.config.document import Document
from lib.config.loading import validate
from lib.errors import ConfigError

ROOT = Path(__file__).parents[2]
DATA = {"train_path": "a", "val_path": "b"}
MINIMAL: dict[str, dict[str, Any]] = {
    "mae": {"data": DATA},
    "regressor": {"data": DATA, "tasks": {"energy": {}}},
    "inpainter": {"data": DATA},
}


def sections(schema: type[BaseModel], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], type[Section]]]:
    """Every section of a schema with its place."""
    found: list[tuple[tuple[str, ...], type[Section]]] = []
    if issubclass(schema, Section):
        found.append((path, schema))
    for name, field in schema.model_fields.items():
        for member in (field.annotation, *get_args(field.annotation)):
            if isinstance(member, type) and issubclass(member, BaseModel):
                found += sections(member, (*path, name))
    return found


MOVED = [
    (kind, path, key, place)
    for kind, schema in SCHEMAS.items()
    for path, section in sections(schema)
    for key, place in section.moved_keys.items()
]


def nested(path: tuple[str, ...], values: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    if not path:
        return {**base, **values}
    return {**base, path[0]: nested(path[1:], values, base.get(path[0], {}))}


@pytest.mark.parametrize("kind", SCHEMAS)
def test_data_alone_is_a_configuration_and_the_regressor_needs_targets_too(kind: str) -> None:
    assert validate(SCHEMAS[kind], Document("x.yaml", MINIMAL[kind], {})).kind == kind
    with pytest.raises(ConfigError, match="data: required, but not given"):
        validate(SCHEMAS[kind], Document("x.yaml", {}, {}))


def test_a_regressor_without_targets_is_refused() -> None:
    with pytest.raises(ConfigError, match="tasks: required, but not given"):
        validate(RegressorConfig, Document("x.yaml", {"data": DATA}, {}))


@pytest.mark.parametrize("kind", SCHEMAS)
@pytest.mark.parametrize("other", SCHEMAS)
def test_a_file_for_another_command_is_refused(kind: str, other: str) -> None:
    document = Document("x.yaml", {**MINIMAL[kind], "kind": other}, {})
    if kind == other:
        assert validate(SCHEMAS[kind], document).kind == kind
        return
    with pytest.raises(ConfigError, match=f"1 fault .*\n  kind: .*'{kind}', got '{other}'. Is the file for") as caught:
        validate(SCHEMAS[kind], document)
    assert "tasks" not in str(caught.value)


@pytest.mark.parametrize(("kind", "path", "key", "place"), MOVED)
def test_every_key_that_moved_gives_its_new_place(kind: str, path: tuple[str, ...], key: str, place: str) -> None:
    document = Document("x.yaml", nested(path, {key: 0.5}, MINIMAL[kind]), {})
    told = rf"{re.escape('.'.join((*path, key)))}: this setting lives elsewhere now; write {re.escape(place)}"
    with pytest.raises(ConfigError, match=told):
        validate(SCHEMAS[kind], document)


def test_there_are_keys_that_moved() -> None:
    assert ("regressor", ("training",), "loss_fn", "tasks.<name>.loss_fn") in MOVED


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("configs/*/*.yaml")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_every_shipped_configuration_is_valid(path: Path) -> None:
    if path.parent.name in SCHEMAS:
        assert load_config(SCHEMAS[path.parent.name], path).kind == path.parent.name


@pytest.mark.parametrize("schema", [MaeConfig, RegressorConfig, InpainterConfig])
@pytest.mark.parametrize("outer_mode", ["finegrid", "split"])
def test_a_resolved_configuration_is_one_again(schema: type[Section], outer_mode: str) -> None:
    kind = schema.model_fields["kind"].default
    values = {**MINIMAL[kind], "model": {"outer_mode": outer_mode}}
    config = validate(schema, Document("x.yaml", values, {}))
    assert validate(schema, Document("again", config.model_dump(mode="json"), {})) == config


@pytest.mark.parametrize(("predict_error", "loss_fn"), [(True, "smooth_l1"), (False, "laplace_nll")])
def test_errors_are_predicted_where_they_are_learnt(predict_error: bool, loss_fn: str) -> None:
    sections = {"model": {"predict_error": predict_error}, "training": {"loss_fn": loss_fn}}
    with pytest.raises(ValidationError, match="does not fit training"):
        InpainterConfig.model_validate({"data": {"train_path": "a", "val_path": "b"}, **sections})
