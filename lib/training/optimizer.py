"""AdamW with decay on weight matrices alone."""

from typing import Any

import torch
from torch import nn
from torch.optim import AdamW

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


def build_optimizer(model: nn.Module, *, lr: float, weight_decay: float) -> AdamW:
    """Return a fused AdamW over the trainable parameters.

    The fused form takes a ``found_inf`` tensor and skips the update on the device where it is 1, so that a bad batch
    needs no wait for the device.
    """
    decayed, exempt = decayed_parameters(model)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": exempt, "weight_decay": 0.0}]
    return AdamW([group for group in groups if group["params"]], lr=lr, betas=(0.9, 0.95), fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group the same learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take over the moments that ``state_dict`` returned; weight decay stays as configured now.

    Raises:
        ValueError: If the state belongs to other parameters.
    """
    decays = [group["weight_decay"] for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, decay in zip(optimizer.param_groups, decays, strict=True):
        group["weight_decay"] = decay
