"""Small expressions on branches, as users write them for cuts and weights.

Numbers, branches (``energyTruth``), components of them (``uvwTruth[2]``), ``+ - * /``, comparisons, ``and``, ``or``,
``not``, ``abs()`` and brackets; nothing else is evaluated.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]

_OPERATORS: dict[type[ast.AST], Callable[..., Values]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.Not: np.logical_not,
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_MAX_LENGTH = 1000


@dataclass(frozen=True)
class Expression:
    """A checked expression.

    Attributes:
        text: What the user wrote.
        components: The highest component that is used of each branch; None for branches that are used as a number.
    """

    text: str
    components: Mapping[str, int | None]

    def evaluate(self, values: Mapping[str, Values]) -> Values:
        """Return the value for each event.

        Args:
            values: Each branch, shape (n, width).

        Returns:
            Numbers or booleans, shape (n,) or, for an expression without branches, ().
        """
        # Ratios of what is zero in some events are compared like any other number.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.asarray(_evaluate(ast.parse(self.text, mode="eval").body, values))


def parse_expression(text: str) -> Expression:
    """Check an expression.

    Raises:
        ValueError: If it holds anything but what this module allows, with the part in question.
    """
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"an expression of {len(text)} characters; {_MAX_LENGTH} are allowed")
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ValueError(f"not an expression: {text!r} ({error})") from error
    components: dict[str, int | None] = {}
    _check(body, text, components)
    return Expression(text.strip(), components)


def _check(node: ast.expr, text: str, components: dict[str, int | None]) -> None:
    match node:
        case ast.Constant(value=bool()) | ast.Constant(value=int()) | ast.Constant(value=float()):
            return
        case ast.Name(id=name):
            _note(name, None, components)
            return
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=int(index))) if index >= 0:
            _note(name, index, components)
            return
        case ast.Call(func=ast.Name(id="abs"), args=[_], keywords=[]):
            parts = node.args
        case ast.BinOp(op=op) | ast.UnaryOp(op=op) | ast.BoolOp(op=op) if type(op) in _OPERATORS:
            parts = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        case ast.Compare(ops=ops) if all(type(op) in _OPERATORS for op in ops):
            parts = [node.left, *node.comparators]
        case _:
            shown = ast.get_source_segment(text.strip(), node) or text
            raise ValueError(
                f"{shown!r} cannot be used in an expression; allowed are numbers, branches, branch[i], + - * /, "
                "comparisons, and, or, not, abs()"
            )
    for part in parts:
        _check(part, text, components)


def _note(name: str, index: int | None, components: dict[str, int | None]) -> None:
    known = components.get(name, index)
    if (known is None) != (index is None):
        raise ValueError(f"{name!r} is used as a number and with a component")
    components[name] = None if known is None or index is None else max(known, index)


def _evaluate(node: ast.expr, values: Mapping[str, Values]) -> Any:
    def inner(part: ast.expr) -> Any:
        return _evaluate(part, values)

    match node:
        case ast.Name(id=name):
            result = values[name][:, 0]
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=int(index))):
            result = values[name][:, index]
        case ast.Call(args=[argument]):
            result = np.abs(inner(argument))
        case ast.UnaryOp(op=op, operand=operand):
            result = _OPERATORS[type(op)](inner(operand))
        case ast.BinOp(left=left, op=op, right=right):
            # Whole numbers of Python would raise where NumPy gives infinity.
            result = _OPERATORS[type(op)](np.float64(1.0) * inner(left), inner(right))
        case ast.BoolOp(op=op, values=parts):
            result = reduce(_OPERATORS[type(op)], map(inner, parts))
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            sides = list(map(inner, (left, *comparators)))
            pairs = zip(ops, sides[:-1], sides[1:], strict=True)
            result = reduce(np.logical_and, [_OPERATORS[type(op)](a, b) for op, a, b in pairs])
        case _:
            result = ast.literal_eval(node)
    return result
