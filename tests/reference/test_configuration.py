"""The reference of settings."""

from lib.reference.configuration import configuration_reference


def test_every_setting_has_a_meaning() -> None:
    rows = [line for line in configuration_reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    empty = [row for row in rows if row.endswith("|  |")]
    assert not empty


def test_types_and_defaults_are_told_as_yaml_writes_them() -> None:
    page = configuration_reference()
    assert "| `model.outer_fine_pool` | list of integer or null | `[3, 3]` |" in page
    assert "| `data.train_path` | text or list of text | required |" in page
    assert "| `training.compile_fullgraph` | true/false | `false` |" in page
    assert "`none`, `bf16` or true/false" in page
