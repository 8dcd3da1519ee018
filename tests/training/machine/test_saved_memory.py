"""What the backward pass keeps is counted without keeping it."""

import gc
import weakref

import torch
from torch import nn

from lib.training.machine.saved_memory import saved_bytes

ROWS, WIDTH = 10, 32


def test_inputs_of_layers_are_counted_once_and_weights_not_at_all() -> None:
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1))
    x = torch.zeros(ROWS, WIDTH)
    # The first layer keeps its input, tanh its output, which the second layer takes, and the third layer what it takes.
    assert saved_bytes(model, lambda: model(x).sum()) == 3 * ROWS * WIDTH * x.element_size()


def counted_weight() -> "weakref.ref[nn.Parameter]":
    """Count what a model keeps; return a weight of the model that nobody else holds."""
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1))
    assert saved_bytes(model, lambda: model(torch.zeros(ROWS, WIDTH)).sum()) > 0
    return weakref.ref(next(model.parameters()))


def test_a_counted_model_is_let_go() -> None:
    weight = counted_weight()
    gc.collect()
    assert weight() is None
