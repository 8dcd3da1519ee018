import numpy as np
import pytest

from lib.data.choice.expression import parse_expression

VALUES = {
    "energyTruth": np.array([[0.02], [0.05], [0.08]]),
    "uvwTruth": np.array([[-30.0, 0.0, 1.0], [5.0, 2.0, 3.0], [1.0, 70.0, 0.0]]),
    "nGamma": np.array([[1], [2], [1]]),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("energyTruth > 0.04", [False, True, True]),
        ("0.03 < energyTruth <= 0.05", [False, True, False]),
        ("abs(uvwTruth[0]) < 20 and nGamma == 1", [False, False, True]),
        ("not (nGamma != 2 or uvwTruth[2] >= 3)", [False, False, False]),
        ("energyTruth < 0.03 or energyTruth > 0.07", [True, False, True]),
        ("1 < 2 and nGamma == 1", [True, False, True]),
        ("uvwTruth[0] + uvwTruth[1] * 2", [-30.0, 9.0, 141.0]),
        ("-uvwTruth[2] / uvwTruth[1]", [-np.inf, -1.5, 0.0]),
        ("1 / (nGamma - 1)", [np.inf, 1.0, np.inf]),
    ],
)
def test_expressions_mean_what_they_say(text, expected):
    assert np.array_equal(parse_expression(text).evaluate(VALUES), expected)


def test_the_branches_of_an_expression_are_known_with_their_highest_component():
    expression = parse_expression("uvwTruth[0] + uvwTruth[2] < energyTruth")
    assert expression.components == {"uvwTruth": 2, "energyTruth": None}


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "energyTruth.real",
        "exec('1')",
        "abs(1, 2)",
        "[x for x in energyTruth]",
        "'text'",
        "energyTruth ** 9",
        "uvwTruth[-1]",
        "uvwTruth[0:2]",
        "uvwTruth[nGamma]",
        "energyTruth in uvwTruth",
        "lambda: 1",
        "energyTruth if nGamma else 1",
        "1j",
        "~nGamma",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="cannot be used in an expression; allowed are"):
        parse_expression(text)


@pytest.mark.parametrize("text", ["", "energyTruth >", "a = 1", "(" * 400])
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(ValueError, match="not an expression"):
        parse_expression(text)


def test_very_long_expressions_are_refused():
    with pytest.raises(ValueError, match="an expression of 1003 characters; 1000 are allowed"):
        parse_expression("1+" * 501 + "1")


def test_a_branch_is_either_a_number_or_an_array():
    with pytest.raises(ValueError, match="'uvwTruth' is used as a number and with a component"):
        parse_expression("uvwTruth + uvwTruth[0] > 1")
