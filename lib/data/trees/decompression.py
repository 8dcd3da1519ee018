"""Compressed baskets of ROOT files to bytes, without copies and without holding Python's lock.

Source:
    Keys and compression blocks as documented for ROOT's TKey and R__unzip: big-endian key header, then blocks of a
    9-byte header (algorithm, method, compressed and full length as little-endian 24-bit numbers) and data.
"""

import lzma
import struct

import cramjam
import deflate
import numpy as np
import xxhash
import zstandard
from numpy.typing import NDArray

from lib.data.trees.inflate import decompress_zlib

ByteArray = NDArray[np.uint8]

# fNbytes, fVersion, fObjlen, fDatime, fKeylen
_KEY = struct.Struct(">ihiIh")
KEY_BYTES = _KEY.size
_BLOCK_HEADER = 9
_LZ4_CHECKSUM = 8

# What the decompressors raise for damaged data.
DECOMPRESSION_ERRORS = (cramjam.DecompressionError, deflate.DeflateError, lzma.LZMAError, zstandard.ZstdError)


class UnusualBasketError(Exception):
    """A basket is laid out in a way that only the ROOT library knows."""


class DamagedBasketError(Exception):
    """A basket does not hold what its header promises."""


def basket_content(basket: ByteArray, length: int, scratch: ByteArray) -> ByteArray:
    """Return the decompressed content of a basket.

    Args:
        basket: The basket with its key, as it lies in the file.
        length: Expected bytes of the content.
        scratch: At least ``length`` bytes that may be overwritten; the result may be a view of it, or of ``basket``.

    Raises:
        UnusualBasketError: If key or compression is of another kind than the usual.
        DamagedBasketError: If the content is damaged.
    """
    if len(basket) < _KEY.size:
        raise DamagedBasketError("the file ends within a basket")
    num_bytes, _, object_length, _, key_length = _KEY.unpack_from(basket.data)
    if num_bytes != len(basket) or object_length != length or not _KEY.size <= key_length <= num_bytes:
        raise UnusualBasketError
    payload = basket[key_length:]
    if len(payload) == length:
        return payload
    try:
        return _decompress(payload, length, scratch)
    except DECOMPRESSION_ERRORS as error:
        raise DamagedBasketError(f"{type(error).__name__}: {error}") from error


def plain_content_place(key: ByteArray, num_bytes: int, length: int) -> int | None:
    """Return where the content of a basket begins, or None if it is compressed or of an unusual kind.

    Args:
        key: The first ``KEY_BYTES`` of the basket.
        num_bytes: Bytes of the basket.
        length: Expected bytes of the content.
    """
    stated, _, object_length, _, key_length = _KEY.unpack(key.data)
    plain = stated == num_bytes and object_length == length and key_length == num_bytes - length >= _KEY.size
    return key_length if plain else None


def _decompress(payload: ByteArray, length: int, scratch: ByteArray) -> ByteArray:
    source = place = 0
    while place < length:
        if source + _BLOCK_HEADER > len(payload):
            raise DamagedBasketError("compressed data end too early")
        header = payload[source : source + _BLOCK_HEADER].tobytes()
        packed, full = int.from_bytes(header[3:6], "little"), int.from_bytes(header[6:9], "little")
        source += _BLOCK_HEADER
        if not full or source + packed > len(payload) or place + full > length:
            raise DamagedBasketError("the lengths in a compression header do not fit")
        _decompress_block(header[:2], payload[source : source + packed], scratch[place : place + full])
        source, place = source + packed, place + full
    return scratch[:length]


def _decompress_block(algorithm: bytes, packed: ByteArray, into: ByteArray) -> None:
    match algorithm:
        case b"L4":
            _decompress_lz4(packed, into)
        case b"ZS":
            _decompress_zstd(packed, into)
        case b"ZL":
            decompress_zlib(packed, into)
        case b"XZ":
            unpacked = lzma.decompress(packed.data)
            _check_length(len(unpacked), into)
            into[:] = np.frombuffer(unpacked, np.uint8)
        case _:
            raise UnusualBasketError


def _decompress_zstd(packed: ByteArray, into: ByteArray) -> None:
    # Asked for all of a frame at once, the stream decompresses straight into our memory.
    stream = zstandard.ZstdDecompressor().stream_reader(packed.data)
    _check_length(stream.readinto(into.data), into)
    if stream.readinto(bytearray(1)):
        raise DamagedBasketError(f"more than {len(into)} bytes where no more are expected")


def _decompress_lz4(packed: ByteArray, into: ByteArray) -> None:
    stored, data = packed[:_LZ4_CHECKSUM].tobytes(), packed[_LZ4_CHECKSUM:]
    # LZ4 itself notices next to nothing.
    if xxhash.xxh64(data.data).digest() != stored:
        raise DamagedBasketError("the checksum of an LZ4 block differs")
    _check_length(cramjam.lz4.decompress_block_into(data.data, into.data, output_len=len(into)), into)


def _check_length(got: int, into: ByteArray) -> None:
    if got != len(into):
        raise DamagedBasketError(f"{got} bytes where {len(into)} are expected")
