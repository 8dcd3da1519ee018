"""Convolution over a table of neighbours."""

import torch

from lib.nn.hexnext import HexNextBlock, NeighbourConvolution

TABLE = torch.tensor([[0, 1, -1], [1, 2, 0], [2, 3, 1], [3, -1, 2]])


def test_it_equals_a_loop_over_neighbours() -> None:
    torch.manual_seed(0)
    layer, x = NeighbourConvolution(5, TABLE), torch.randn(2, 4, 5)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    expected = layer.bias.repeat(2, 4, 1).clone()
    for position, row in enumerate(TABLE.tolist()):
        for direction, neighbour in enumerate(row):
            if neighbour >= 0:
                expected[:, position] += layer.weight[direction] * x[:, neighbour]
    torch.testing.assert_close(layer(x), expected)


def test_the_table_is_no_part_of_the_weights() -> None:
    assert set(NeighbourConvolution(5, TABLE).state_dict()) == {"weight", "bias"}


def test_a_block_is_a_residual_around_its_branch() -> None:
    torch.manual_seed(0)
    block, x = HexNextBlock(4, TABLE), torch.randn(2, 4, 4)
    torch.testing.assert_close(block(x), x + block.pointwise(block.depthwise(x)))


def test_a_dropped_branch_leaves_the_input() -> None:
    torch.manual_seed(0)
    block, x = HexNextBlock(4, TABLE, drop_path_rate=0.5).train(), torch.randn(64, 4, 4)
    unchanged = (block(x) == x).flatten(1).all(dim=1)
    assert 0 < unchanged.sum() < 64
