"""The three models are one graph each, and no step of them looks at a value."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters
from torch.fx import GraphModule

from lib.data.normalization import Normalization
from lib.nn.drop_path import DropPath, PathDraws
from lib.training.batch_runner import BatchRunner
from tests.tasks.conftest import MakeBatch
from tests.tasks.test_micro_batches import assembled
from tests.training.sync_detector import NoHostWaits

CPU = torch.device("cpu")
KINDS = ["regressor", "mae", "inpainter"]
MODELS = [*((kind, {}) for kind in KINDS), ("inpainter", {"head_type": "light_field", "hidden_dim": 8})]
# These make a tensor out of numbers: without a device in its arguments it would lie on the host and keep CUDA graphs
# from being recorded.
FACTORIES = {"tensor", "arange", "zeros", "ones", "full", "rand", "randn", "empty", "linspace", "eye"}


@pytest.mark.parametrize(("kind", "settings"), MODELS)
def test_no_step_of_a_task_looks_at_a_value(
    kind: str, settings: dict[str, Any], tiny: dict[str, Any], normalization: Normalization, make_batch: MakeBatch
) -> None:
    model, task, config = assembled(kind, tiny | {"drop_path_rate": 0.2} | settings, normalization)
    batch = make_batch(4)
    runner = BatchRunner(model.train(), task, config.model_copy(update={"micro_batch": 2}), CPU)
    with NoHostWaits():
        runner.accumulate(iter([batch]), model.zero_grad, 0)
        model.eval()
        runner.evaluate(batch)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "settings"), MODELS)
def test_a_model_is_one_graph_and_stays_so(
    kind: str, settings: dict[str, Any], tiny: dict[str, Any], normalization: Normalization, make_batch: MakeBatch
) -> None:
    model, task, config = assembled(kind, tiny | {"drop_path_rate": 0.2} | settings, normalization)
    runner = BatchRunner(model.train(), task, config.model_copy(update={"micro_batch": 2}), CPU)
    torch._dynamo.reset()
    counters.clear()
    graphs: list[GraphModule] = []

    def keep(graph: GraphModule, inputs: list[torch.Tensor]) -> GraphModule:
        assert all(isinstance(value, torch.Tensor) for value in inputs), "a number would be an input on the host"
        graphs.append(graph)
        return graph

    runner.ladder.model = torch.compile(model, backend=keep, fullgraph=True, dynamic=False)  # type: ignore[assignment]
    for number in range(3):
        model.train()
        runner.accumulate(iter([make_batch(4, seed=number)]), model.zero_grad, number)
        model.eval()
        runner.evaluate(make_batch(4, seed=10 + number))
    # One for training and one for validation, whatever is drawn.
    assert len(graphs) == 2
    assert counters["graph_break"] == Counter()
    assert host_tensors(graphs) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_new_draws_of_dropped_paths_compile_nothing_anew() -> None:
    model = nn.Sequential(DropPath(0.5), nn.Linear(4, 4), DropPath(0.2)).train()
    draws, graphs = PathDraws(model), []
    torch._dynamo.reset()
    fused = torch.compile(model, backend=lambda graph, inputs: graphs.append(graph) or graph, fullgraph=True)
    for _ in range(2):
        draws.draw(6, CPU)
        for first in (0, 3):
            draws.use_rows(first, first + 3)
            x = torch.randn(3, 4)
            torch.testing.assert_close(fused(x), model(x))
    assert len(graphs) == 1


def host_tensors(graphs: list[GraphModule]) -> list[str]:
    """Nodes that make a tensor on the host."""
    nodes = [node for graph in graphs for node in graph.graph.nodes if node.op == "call_function"]
    return [
        str(node) for node in nodes if getattr(node.target, "__name__", "") in FACTORIES and "device" not in node.kwargs
    ]


def test_a_graph_with_a_host_tensor_is_recognized() -> None:
    graph = torch.fx.Graph()
    graph.call_function(torch.ones, (2,))
    graph.call_function(torch.zeros, (2,), {"device": CPU})
    assert host_tensors([GraphModule(nn.Module(), graph)]) == ["ones"]
