"""An exported file must say what it is, and a reader must refuse what it does not understand."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lib.errors import ExportError
from lib.export.metadata import ModelMetadata

FILE = Path("model.onnx")


def test_what_is_written_is_what_is_read(metadata: ModelMetadata) -> None:
    assert ModelMetadata.from_properties(metadata.to_properties(), FILE) == metadata


def test_properties_are_plain_text_or_json(metadata: ModelMetadata) -> None:
    properties = metadata.to_properties()
    assert properties["xec_kind"] == "regressor"
    assert json.loads(properties["xec_outputs"])[1]["labels"] == ["u", "v", "w"]
    assert json.loads(properties["xec_normalization"])["npho_scale"] == 0.58


def test_readers_without_json_find_plain_tables(metadata: ModelMetadata) -> None:
    properties = metadata.to_properties()
    assert properties["xec_input_table"] == "npho\tphotons\ntime\ts"
    assert properties["xec_output_table"] == "energy\tvalue\tGeV\tenergy\nuvwFI\tvalue\tcm\tu,v,w"
    assert (properties["xec_num_sensors"], properties["xec_sensor_order"]) == ("4760", "sensor_id")


def test_an_unknown_precision_is_refused(metadata: ModelMetadata) -> None:
    with pytest.raises(ExportError, match=r"damaged metadata \(ValueError: precision 'fp8'\)"):
        ModelMetadata.from_properties({**metadata.to_properties(), "xec_precision": "fp8"}, FILE)


def test_the_json_form_holds_everything(metadata: ModelMetadata) -> None:
    values = json.loads(metadata.to_json())
    assert values["format"] == "3"
    assert values["outputs"][0]["unit"] == "GeV"
    assert values["revision"] == "unknown"


def test_properties_of_others_are_ignored(metadata: ModelMetadata) -> None:
    assert ModelMetadata.from_properties({**metadata.to_properties(), "author": "x"}, FILE) == metadata


def test_a_file_of_another_tool_is_refused() -> None:
    with pytest.raises(ExportError, match=r"model\.onnx: an ONNX file without this suite's metadata .*it has: author"):
        ModelMetadata.from_properties({"author": "x"}, FILE)


def test_another_format_is_refused_with_both_numbers(metadata: ModelMetadata) -> None:
    with pytest.raises(ExportError, match=r"metadata of format '7', expected '3'"):
        ModelMetadata.from_properties({**metadata.to_properties(), "xec_format": "7"}, FILE)


@pytest.mark.parametrize("text", ["", "[1, 2]", '[{"name": "energy"}]', '{"name": "energy"}', "null"])
def test_damaged_outputs_are_refused(metadata: ModelMetadata, text: str) -> None:
    with pytest.raises(ExportError, match=r"model\.onnx: damaged metadata"):
        ModelMetadata.from_properties({**metadata.to_properties(), "xec_outputs": text}, FILE)


@pytest.mark.parametrize("key", ["xec_kind", "xec_tree_name", "xec_normalization", "xec_metrics"])
def test_a_missing_property_is_named(metadata: ModelMetadata, key: str) -> None:
    properties = metadata.to_properties()
    del properties[key]
    with pytest.raises(ExportError, match=rf"damaged metadata \(KeyError: '{key.removeprefix('xec_')}'\)"):
        ModelMetadata.from_properties(properties, FILE)


def test_two_models_differ_when_their_configuration_does(metadata: ModelMetadata) -> None:
    other = replace(metadata, config_sha256="e" * 64)
    assert ModelMetadata.from_properties(other.to_properties(), FILE) != metadata
