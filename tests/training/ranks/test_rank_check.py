"""Ranks that do not hold the same are named, and so are slow ones."""

import socket
from pathlib import Path

import pytest
import torch

from lib.training.ranks.rank_check import DisagreementError, RankCheck, fingerprint
from tests.training.started_ranks import run_ranks

HOST = socket.gethostname()


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16, torch.uint8])
def test_a_fingerprint_changes_with_every_single_bit(kind: torch.dtype) -> None:
    tensors = [torch.arange(5).to(kind), torch.ones(3, 2).to(kind)]
    whole = fingerprint(tensors)
    size = tensors[1].element_size()
    for bit in range(8 * size):
        changed = tensors[1].clone()
        changed.view(torch.uint8)[1, size + bit // 8] ^= 1 << (bit % 8)
        assert fingerprint([tensors[0], changed]) != whole
    assert fingerprint(tensors[::-1]) != whole
    assert fingerprint([one.clone() for one in tensors]) == whole


def test_a_single_process_is_not_compared() -> None:
    assert not RankCheck(10).is_due(10)


def compare_ranks(rank: int, _folder: Path) -> list[str]:
    check = RankCheck(10)
    assert [step for step in range(1, 31) if check.is_due(step)] == [10, 20, 30]
    assert not RankCheck(0).is_due(10)
    told = []
    alike = {"parameters": [torch.ones(3)], "losses": [torch.zeros(2)], "random numbers": [torch.ones(4)]}
    for step, slow_rank in ((10, 1), (20, 1), (30, None), (40, 2)):
        seconds = {"reading data": [0.1] * 3, "computing": [0.4 if rank == slow_rank else 0.2] * 3}
        told += check.compare(step, alike, seconds)
    for what in alike:
        held = {name: [value.clone() for value in values] for name, values in alike.items()}
        if rank == 2:
            held[what][0][1] += 1e-7 if what != "losses" else 1e-30
        try:
            check.compare(50, held, {"computing": []})
        except DisagreementError as error:
            told.append(str(error).split(". ")[0])
    return told


def test_ranks_that_differ_or_are_slow_are_named_on_all_ranks(tmp_path: Path) -> None:
    slow = (
        "takes 1.67 times as long for a step as the median of all ranks (0.5 s, 0.3 s), most of it in phase computing"
    )
    differs = "after step 50 the {} of rank 2 (host " + HOST + ") differ from those of the other ranks"
    expected = [
        # Told once as long as it stays slow, and again after it was not.
        f"rank 1 (host {HOST}) {slow}",
        f"rank 2 (host {HOST}) {slow}",
        differs.format("parameters"),
        differs.format("losses"),
        differs.format("random numbers"),
    ]
    assert run_ranks(tmp_path, 3, compare_ranks) == [expected] * 3
