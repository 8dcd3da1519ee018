"""A rewrite of traced graphs: what is taken out of a stack is what was put in.

Values travel side by side in this code, photons beside times, u beside v and w, and are taken apart where they are
used. In torch that costs little; in a runtime it is two copies and four operations each time.
"""

import operator
from typing import Final

import torch
from torch import fx
from torch.export import ExportedProgram

_ATEN: Final = torch.ops.aten


def take_from_stacks(program: ExportedProgram) -> None:
    """Replace every ``stack(a, b)[i]`` and ``stack(a, b).unbind()[i]`` along the same axis by its element, in place."""
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        element = _element(node)
        if element is not None:
            node.replace_all_uses_with(element)
    graph.eliminate_dead_code()
    program.graph_module.recompile()


def _element(node: fx.Node) -> fx.Node | None:
    """Return what a node takes out of a stack; None if it does nothing of the kind."""
    if node.target is _ATEN.select.int:
        stack, axis, index = node.args
    elif node.target is operator.getitem and _is_call(node.args[0], _ATEN.unbind.int):
        unbind, index = node.args
        assert isinstance(unbind, fx.Node)
        stack, axis = unbind.args[0], _axis(unbind)
    else:
        return None
    if not isinstance(stack, fx.Node) or not _is_call(stack, _ATEN.stack.default):
        return None
    rank = stack.meta["val"].ndim
    assert isinstance(axis, int)
    assert isinstance(index, int)
    elements = stack.args[0]
    assert isinstance(elements, list | tuple)
    element = elements[index] if axis % rank == _axis(stack) % rank else None
    return element if isinstance(element, fx.Node) else None


def _axis(node: fx.Node) -> int:
    """Return the second argument of a node, which is an axis and 0 by default."""
    axis = node.args[1] if len(node.args) > 1 else 0
    assert isinstance(axis, int)
    return axis


def _is_call(node: object, target: object) -> bool:
    return isinstance(node, fx.Node) and node.target is target
