"""A rewrite of traced graphs: what is taken out of a stack is what was put in.

Values travel side by side in this code, photons beside times, u beside v and w, and are taken apart where they are
used. In torch that costs little; in a runtime it is two copies and four operations each time.
"""

import operator

from torch import fx
from torch.export import ExportedProgram
from torch.ops import aten


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
    if node.target is aten.select.int:
        stack, axis, index = node.args
    elif node.target is operator.getitem and _is_call(node.args[0], aten.unbind.int):
        unbind, index = node.args
        stack, axis = unbind.args[0], (unbind.args[1] if len(unbind.args) > 1 else 0)
    else:
        return None
    if not _is_call(stack, aten.stack.default) or not isinstance(index, int):
        return None
    stacked_axis = stack.args[1] if len(stack.args) > 1 else 0
    rank = stack.meta["val"].ndim
    return stack.args[0][index] if axis % rank == stacked_axis % rank else None


def _is_call(node: object, target: object) -> bool:
    return isinstance(node, fx.Node) and node.target is target
