"""The border to torch's exporter: a module as an ONNX model in memory."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.onnx import ONNXProgram

from lib.export.stack_selection import take_from_stacks

OPSET = 20
"""The first in which GELU is one operation; the runtime fuses no more from later ones."""

OPSETS = range(18, 24)
"""What torch's exporter translates to and the runtime knows."""

# Torch warns of its own deprecations and its choice of names, and at the level of a training's log its helpers tell
# of every constant they fold: hundreds of lines, none of which a user can act upon.
_WARNINGS = (
    (FutureWarning, r"`isinstance\(treespec, LeafSpec\)` is deprecated"),
    (UserWarning, r"# The axis name: \w+ will not be used"),
)
_LOGGERS = ("torch.onnx", "torch.onnx._internal.exporter._registration", "onnxscript", "onnx_ir")


def build_graph(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    output_names: Sequence[str],
    properties: Mapping[str, str],
    *,
    opset: int = OPSET,
) -> ONNXProgram:
    """Trace a module with a free batch size.

    Args:
        module: In evaluation mode, on the CPU; takes the inputs in their order and returns a tuple of tensors.
        inputs: Examples by input name, at least two events each, the batch being the first axis.
        output_names: Name of each output.
        properties: What the model says about itself.
        opset: Version of the operations, one of ``OPSETS``.

    Returns:
        The model, without traces of the code and the machine that made it.
    """
    # An example of one event would be traced as if every batch had one.
    batch = torch.export.Dim("batch", min=1)
    shapes = [{0: batch} for _ in inputs]
    with _calm():
        traced = torch.export.export(module, tuple(inputs.values()), dynamic_shapes=shapes)
        take_from_stacks(traced)
        program = torch.onnx.export(
            traced,
            input_names=list(inputs),
            output_names=list(output_names),
            # Once more, for the name of the axis.
            dynamic_shapes=shapes,
            opset_version=opset,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # None is what the older exporter returns
    _forget_sources(program)
    program.model.metadata_props.update(properties)
    return program


def _forget_sources(program: ONNXProgram) -> None:
    """Remove the stack trace of every node and value: paths of the machine, and a third of a small file."""
    graph = program.model.graph
    graph.metadata_props.clear()
    for value in (*graph.inputs, *graph.outputs, *graph.initializers.values()):
        value.metadata_props.clear()
    for node in graph:
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()


@contextmanager
def _calm() -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category, message in _WARNINGS:
                warnings.filterwarnings("ignore", message=message, category=category)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
