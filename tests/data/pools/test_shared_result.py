"""Results in memory that another process maps."""

import pickle
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lib.data.pools.shared_result import receive_shared, send_shared


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_tensors_arrive_as_they_were_and_belong_to_the_receiver(ends: tuple[socket.socket, socket.socket]) -> None:
    sent = {"x": torch.arange(6.0).view(2, 3), "valid": torch.tensor([True, False]), "none": torch.zeros(0), "n": 3}
    send_shared(ends[0], 1 << 40, sent)
    tag, got = receive_shared(ends[1])
    assert tag == 1 << 40
    assert got["n"] == 3
    for name in ("x", "valid", "none"):
        assert got[name].dtype == sent[name].dtype
        assert torch.equal(got[name], sent[name])
    got["x"][0, 0] = 7.0
    assert sent["x"][0, 0] == 0.0


def test_results_arrive_in_order_after_their_sender_is_gone(ends: tuple[socket.socket, socket.socket]) -> None:
    for number in range(5):
        send_shared(ends[0], number, torch.full((1000,), number))
    ends[0].close()
    for number in range(5):
        tag, got = receive_shared(ends[1])
        assert tag == number
        assert torch.equal(got, torch.full((1000,), number))
    with pytest.raises(EOFError, match="the sender is gone"):
        receive_shared(ends[1])


def test_a_result_takes_one_descriptor_for_a_moment(ends: tuple[socket.socket, socket.socket]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    results = []
    for number in range(20):
        send_shared(ends[0], number, [torch.ones(10) for _ in range(100)])
        results.append(receive_shared(ends[1]))
    # A mapping keeps a descriptor of its own.
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + len(results)


def test_what_cannot_be_pickled_is_an_error_and_nothing_is_sent(ends: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError), match="pickle"):
        send_shared(ends[0], 1, lambda: None)
