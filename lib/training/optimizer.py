"""AdamW with decay on weight matrices alone, and learning rates that may fall towards the inputs."""

from itertools import groupby
from typing import Any, Final, Protocol, runtime_checkable

import torch
from torch import nn
from torch.optim import AdamW

from lib.errors import ConfigError

LR_SHARE: Final = "lr_share"
"""Key of a parameter group: its share of the learning rate."""

# Parameters of these modules are scales, offsets or tables, not matrices that grow without decay.
_EXEMPT_MODULES = (nn.LayerNorm, nn.Embedding)


def decayed_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split the trainable parameters into those with and those without weight decay.

    Norms, biases, embeddings and anything with fewer than two axes longer than one are exempt: tokens, positions and
    the scales of a layer are vectors, even where they are stored with leading axes of length 1.

    Returns:
        Decayed and exempt parameters, each once, in the order of the model.
    """
    decayed: list[nn.Parameter] = []
    exempt: list[nn.Parameter] = []
    seen: set[int] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            is_vector = sum(length > 1 for length in parameter.shape) < 2
            is_exempt = is_vector or isinstance(module, _EXEMPT_MODULES) or "embedding" in name
            (exempt if is_exempt else decayed).append(parameter)
    return decayed, exempt


@runtime_checkable
class Layered(Protocol):
    """A model that knows the order of its layers."""

    def layer_levels(self) -> dict[str, int]:
        """Return the level of each parameter, by its name: 0 at the inputs."""
        ...


def build_optimizer(model: nn.Module, *, lr: float, weight_decay: float, layer_decay: float | None = None) -> AdamW:
    """Return a fused AdamW over the trainable parameters.

    Args:
        model: Its trainable parameters are optimized.
        lr: Learning rate.
        weight_decay: Of weight matrices.
        layer_decay: Factor of the learning rate from each level of a ``Layered`` model to the next one towards the
            inputs; None for one rate.

    The fused form takes a ``found_inf`` tensor and skips the update on the device where it is 1, so that a bad batch
    needs no wait for the device.
    """
    levels = _levels(model) if layer_decay is not None else {}
    top, factor = max(levels.values(), default=0), 1.0 if layer_decay is None else layer_decay
    groups: list[dict[str, Any]] = []
    for parameters, decay in zip(decayed_parameters(model), (weight_decay, 0.0), strict=True):
        ordered = sorted(parameters, key=lambda one: levels.get(id(one), top))
        for level, members in groupby(ordered, key=lambda one: levels.get(id(one), top)):
            share = factor ** (top - level)
            groups.append({"params": list(members), "weight_decay": decay, LR_SHARE: share, "lr": share * lr})
    return AdamW(groups, lr=lr, betas=(0.9, 0.95), fused=True)


def _levels(model: nn.Module) -> dict[int, int]:
    """Return the level of each parameter, by its identity."""
    if not isinstance(model, Layered):
        raise ConfigError(
            f"training.layer_decay: a {type(model).__name__} does not say in which order its layers lie. Remove it."
        )
    levels = model.layer_levels()
    return {id(parameter): levels[name] for name, parameter in model.named_parameters()}


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group its share of a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = group[LR_SHARE] * lr


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take over the moments that ``state_dict`` returned; decays stay as configured now.

    Raises:
        ValueError: If the state belongs to other parameters.
    """
    configured = [(group["weight_decay"], group[LR_SHARE]) for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, (decay, share) in zip(optimizer.param_groups, configured, strict=True):
        group["weight_decay"], group[LR_SHARE] = decay, share
