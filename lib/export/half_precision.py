"""Products of matrices in float16, everything between them in float32."""

from collections.abc import Collection

import numpy as np
import onnx_ir as ir

HEAVY = ("Conv", "Gemm", "MatMul")
"""Where nearly all of the time goes, and what GPUs have float16 units for."""


def compute_in_half(model: ir.Model, fixed: Collection[str]) -> None:
    """Let convolutions and products of matrices compute in float16.

    Normalization, sums over sensors and positions, norms and inverse transforms stay in float32: a saturated photon
    count is beyond the largest float16, a time in seconds below the smallest. Weights are stored in float16, which
    halves the file.

    Args:
        model: Changed in place.
        fixed: Names of constants that are not trained: a product with one of these sums photons or pixels.
    """
    graph = model.graph
    halves: dict[str, ir.Value] = {}
    for node in list(graph):
        if node.op_type in HEAVY and not any(_sums(value, fixed) for value in node.inputs):
            for place, value in enumerate(node.inputs):
                if value is not None and value.dtype == ir.DataType.FLOAT:
                    node.replace_input_with(place, _half(graph, node, value, halves))
            _back_to_float(graph, node)
    for name in list(graph.initializers):
        if not graph.initializers[name].uses() and name.removesuffix("_half") + "_half" in graph.initializers:
            del graph.initializers[name]


def _sums(value: ir.Value | None, fixed: Collection[str]) -> bool:
    """Return whether a product with this value is a sum: over sensors, or over positions by a row of ones."""
    if value is None or value.const_value is None or not value.is_initializer():
        return False
    numbers = value.const_value.numpy()
    return value.name in fixed or (numbers.size > 1 and bool((numbers == 1).all()))


def _half(graph: ir.Graph, node: ir.Node, value: ir.Value, halves: dict[str, ir.Value]) -> ir.Value:
    """Return a value in float16; the same one for all that use it."""
    name = f"{value.name}_half"
    if name in halves:
        return halves[name]
    if value.const_value is not None and value.is_initializer():
        half = ir.Value(name=name, const_value=ir.tensor(value.const_value.numpy().astype(np.float16), name=name))
        half.shape, half.dtype = value.shape, ir.DataType.FLOAT16
        graph.register_initializer(half)
    else:
        cast = ir.node("Cast", [value], {"to": ir.DataType.FLOAT16})
        half = _named(cast, name, ir.DataType.FLOAT16, value.shape)
        graph.insert_before(node, cast)
    halves[name] = half
    return half


def _back_to_float(graph: ir.Graph, node: ir.Node) -> None:
    (output,) = node.outputs
    # The name stays with what the rest of the graph reads.
    name, output.name, output.dtype = output.name, f"{output.name}_in_half", ir.DataType.FLOAT16
    cast = ir.node("Cast", [output], {"to": ir.DataType.FLOAT})
    result = _named(cast, str(name), ir.DataType.FLOAT, output.shape)
    output.replace_all_uses_with(result, replace_graph_outputs=True)
    cast.replace_input_with(0, output)
    graph.insert_after(node, cast)


def _named(node: ir.Node, name: str, dtype: ir.DataType, shape: ir.Shape | None) -> ir.Value:
    (value,) = node.outputs
    value.name, value.dtype, value.shape = name, dtype, shape
    return value
