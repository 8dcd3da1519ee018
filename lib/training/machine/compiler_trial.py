"""Compiles a small network and takes a step with it; run as a child process by ``lib.training.machine.probes``."""

import sys
from typing import get_args

import torch
from torch import nn

from lib.nn.convnext import ConvNextBlock
from lib.nn.transformer import TransformerLayer
from lib.training.config import CompileMode
from lib.training.machine.compilation import CompileLadder


class TrialNetwork(nn.Module):
    """One block of each kind that compilers find hard."""

    def __init__(self) -> None:
        super().__init__()
        self.image = ConvNextBlock(16)
        self.tokens = TransformerLayer(16, 2, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform an image of shape (B, H, W, 16) to tokens (B, H * W, 16)."""
        return self.tokens(self.image(x).flatten(1, 2))


def main(device: str, mode: CompileMode) -> None:
    """Take three steps, so that graphs are recorded and replayed; whatever fails raises."""
    model = TrialNetwork().to(device)
    ladder = CompileLadder(model, mode, fullgraph=False)
    for _ in range(3):
        ladder.begin_call()
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = ladder.model(torch.randn(4, 8, 8, 16, device=device)).float().square().mean()
        loss.backward()
    if not torch.isfinite(loss):
        raise ArithmeticError("the compiled network gave a loss that is not finite")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in get_args(CompileMode):
        sys.exit("usage: python -m lib.training.machine.compiler_trial DEVICE MODE")
    main(sys.argv[1], next(mode for mode in get_args(CompileMode) if mode == sys.argv[2]))
