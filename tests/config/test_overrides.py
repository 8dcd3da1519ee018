"""Assignments from the command line must win over the file and be refused like the file."""

import pytest

from lib.config.document import parse_document
from lib.config.overrides import apply_overrides
from lib.errors import ConfigError

DOCUMENT = parse_document("training:\n  lr: 1e-3\n  epochs: 5\nempty:\nname: x\n", "file.yaml")


def test_an_assignment_replaces_the_value_of_the_file_alone() -> None:
    changed = apply_overrides(DOCUMENT, ["training.lr=1e-4"])
    assert changed.data == {"training": {"lr": 1e-4, "epochs": 5}, "empty": None, "name": "x"}


def test_the_document_of_the_file_stays_as_it_is() -> None:
    apply_overrides(DOCUMENT, ["training.lr=1e-4", "new.section.key=2"])
    assert DOCUMENT.data == {"training": {"lr": 1e-3, "epochs": 5}, "empty": None, "name": "x"}


def test_the_last_of_several_assignments_wins() -> None:
    assert apply_overrides(DOCUMENT, ["name=a", "name=b"]).data["name"] == "b"


def test_sections_that_the_file_leaves_out_or_empty_are_created() -> None:
    changed = apply_overrides(DOCUMENT, ["model.outer_fine_pool=[3, 3]", "empty.key=null"])
    assert changed.data["model"] == {"outer_fine_pool": [3, 3]}
    assert changed.data["empty"] == {"key": None}


def test_a_value_may_itself_hold_an_equals_sign() -> None:
    assert apply_overrides(DOCUMENT, ["name=sqlite:///a?b=c"]).data["name"] == "sqlite:///a?b=c"


def test_an_overridden_value_no_longer_claims_a_line_of_the_file() -> None:
    changed = apply_overrides(DOCUMENT, ["training.lr=1e-4"])
    assert ("training", "lr") not in changed.lines
    assert changed.lines["training", "epochs"] == 3
    assert not [place for place in apply_overrides(DOCUMENT, ["training={}"]).lines if place[0] == "training"]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.lr", "--set training.lr: expected section.key=value"),
        ("=5", "expected section.key=value"),
        ("training..lr=5", "expected section.key=value"),
        ("name.inner=5", r"--set name.inner=5: 'name' is a value \('x'\), not a section"),
        ("training.lr=[1", "--set training.lr=.*not valid YAML"),
        ("training.lr=!!float 1", "--set training.lr=.*the tag"),
        (".".join("a" * 21) + "=1", "nested deeper than 20 levels"),
    ],
)
def test_an_assignment_that_makes_no_sense_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        apply_overrides(DOCUMENT, [assignment])
