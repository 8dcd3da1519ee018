"""Results of a loader process in memory that another process maps, known by nothing but a file descriptor.

A descriptor travels in the socket itself: it arrives although its sender has died or was stopped since, which tensors
that torch shares do not. One of them for a whole pool leaves the limit of open files far away, and memory of this kind
does not count against the size of /dev/shm.
"""

import io
import mmap
import os
import pickle
import socket
import struct
import tempfile
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import IO, Any

import torch

# Starts of arrays on cache lines let vector stores run at full width.
_ALIGNMENT = 64
# Tag, bytes of the arrays, bytes of the list of their sizes; short enough to be sent whole or not at all.
_MESSAGE = struct.Struct("<QQQ")


class _Pickler(pickle.Pickler):
    """Takes tensors as arrays, whose memory can stay outside the pickle."""

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, torch.Tensor):
            return torch.from_numpy, (value.numpy(),)
        return NotImplemented


def send_shared(channel: socket.socket, tag: int, result: object) -> None:
    """Send an object; its tensors are copied once, into memory that the receiver maps.

    Args:
        channel: A stream socket of this machine.
        tag: Number that is received with it.
        result: Anything that can be pickled.
    """
    buffers: list[pickle.PickleBuffer] = []
    head = io.BytesIO()
    _Pickler(head, protocol=5, buffer_callback=buffers.append).dump(result)
    pieces = [head.getbuffer(), *(buffer.raw() for buffer in buffers)]
    borders = _borders([len(piece) for piece in pieces])
    sizes = pickle.dumps([len(piece) for piece in pieces])
    with _anonymous_file() as file:
        file.truncate(borders[-1])
        with mmap.mmap(file.fileno(), 0) as memory, memoryview(memory) as view:
            for piece, (begin, _) in zip(pieces, pairwise(borders), strict=True):
                view[begin : begin + len(piece)] = piece
        os.pwrite(file.fileno(), sizes, borders[-1])
        socket.send_fds(channel, [_MESSAGE.pack(tag, borders[-1], len(sizes))], [file.fileno()])


def receive_shared(channel: socket.socket) -> tuple[int, Any]:
    """Return tag and object of one ``send_shared``; its tensors can be written and belong to nobody else.

    Raises:
        EOFError: If the other end was closed.
    """
    message, descriptors, _, _ = socket.recv_fds(channel, _MESSAGE.size, 1)
    if len(message) < _MESSAGE.size or not descriptors:
        raise EOFError("the sender is gone")
    tag, length, num_bytes = _MESSAGE.unpack(message)
    with os.fdopen(descriptors[0], "rb") as file:
        sizes = pickle.loads(os.pread(file.fileno(), num_bytes, length))
        view = memoryview(mmap.mmap(file.fileno(), length))
    pieces = [view[begin : begin + size] for size, (begin, _) in zip(sizes, pairwise(_borders(sizes)), strict=True)]
    return tag, pickle.loads(pieces[0], buffers=pieces[1:])


def _borders(sizes: Sequence[int]) -> list[int]:
    """Return where each piece begins, rounded up to cache lines, and where the last one ends."""
    return list(accumulate((-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes), initial=0))


def _anonymous_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("pool"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)
