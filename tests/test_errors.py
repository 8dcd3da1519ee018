"""Errors must be tellable apart from faults of the program, and messages must name what was meant."""

import pytest

from lib.errors import CheckpointError, ConfigError, DataError, ExportError, GeometryError, UserError, nearest


@pytest.mark.parametrize("kind", [CheckpointError, ConfigError, DataError, ExportError, GeometryError])
def test_every_mistake_of_the_user_is_one_kind(kind: type[UserError]) -> None:
    with pytest.raises(UserError, match="what is wrong"):
        raise kind("what is wrong")


def test_mistakes_of_the_user_are_no_faults_of_the_program() -> None:
    assert not issubclass(UserError, ValueError | OSError | RuntimeError)


def test_a_misspelt_name_finds_its_neighbour() -> None:
    assert nearest("learing_rate", ["epochs", "learning_rate", "amp"]) == "learning_rate"


def test_the_nearest_of_several_comes_first() -> None:
    assert nearest("relative_nph", ["time", "npho", "relative_npho"]).split(", ")[0] == "relative_npho"


def test_the_case_does_not_matter_but_the_name_is_given_as_it_is_spelt() -> None:
    assert nearest("uvwfi", ["angle", "uvwFI"]) == "uvwFI"


def test_all_names_are_shown_in_order_when_none_is_close() -> None:
    assert nearest("xyz", ["timing", "angle", "energy"]) == "angle, energy, timing"


def test_a_long_list_is_cut_with_an_ellipsis() -> None:
    text = nearest("qqqqqqqq", [f"branch_{index:02}" for index in range(13)])
    assert text.endswith("branch_11, ...")
    assert "branch_12" not in text
    assert not nearest("qqqqqqqq", [f"branch_{index:02}" for index in range(12)]).endswith("...")


def test_without_candidates_there_is_none() -> None:
    assert nearest("anything", []) == "none"
