"""What the backward pass keeps of the forward pass, counted on any machine."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def saved_bytes(model: nn.Module, run: Callable[[], object]) -> int:
    """Return the bytes that autograd keeps for the backward pass; weights and what shares their memory do not count.

    Args:
        model: Its parameters and buffers are left out.
        run: Runs the model with gradients.
    """
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            # Held until the end: freed memory would be handed out again under the same address.
            kept[storage.data_ptr()] = storage
        # The tensor itself would hold the graph that holds it, and never be freed.
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(storage.nbytes() for storage in kept.values())
