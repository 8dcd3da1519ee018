"""What is taken out of a stack."""

import pytest
import torch
from torch import Tensor, nn

from lib.export.stack_selection import take_from_stacks

ATEN = torch.ops.aten
STACK_OPERATIONS = {ATEN.stack.default, ATEN.unbind.int, ATEN.select.int}


class Selecting(nn.Module):
    """Stacks along one axis and takes apart along another."""

    def __init__(self, stacked: int, taken: int, *, unbind: bool) -> None:
        super().__init__()
        self.stacked, self.taken, self.unbind = stacked, taken, unbind

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        stack = torch.stack([a + 1.0, b * 2.0], dim=self.stacked)
        return stack.unbind(self.taken)[1] if self.unbind else stack.select(self.taken, 1)


@pytest.mark.parametrize("unbind", [False, True])
@pytest.mark.parametrize(("stacked", "taken", "gone"), [(0, 0, True), (2, -1, True), (-1, 2, True), (0, 1, False)])
def test_an_element_of_a_stack_is_what_was_put_in(stacked: int, taken: int, gone: bool, unbind: bool) -> None:
    module, inputs = Selecting(stacked, taken, unbind=unbind), (torch.randn(3, 4), torch.randn(3, 4))
    program = torch.export.export(module, inputs)
    take_from_stacks(program)
    left = STACK_OPERATIONS & {node.target for node in program.graph.nodes}
    assert (not left) == gone
    torch.testing.assert_close(program.module()(*inputs), module(*inputs), rtol=0, atol=0)
