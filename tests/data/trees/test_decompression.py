import lzma
import zlib

import cramjam
import numpy as np
import pytest
import xxhash

from lib.data.trees.decompression import DamagedBasketError, UnusualBasketError, basket_content

CONTENT = np.arange(5000, dtype=">f4").tobytes()


def lz4(data: bytes) -> bytes:
    packed = bytes(cramjam.lz4.compress_block(data, store_size=False))
    return xxhash.xxh64(packed).digest() + packed


PACKERS = {
    b"L4": lz4,
    b"ZS": lambda data: bytes(cramjam.zstd.compress(data, 3)),
    b"ZL": lambda data: zlib.compress(data, 1),
    b"XZ": lzma.compress,
}


def block(algorithm: bytes, data: bytes) -> bytes:
    packed = PACKERS[algorithm](data)
    return algorithm + b"\1" + len(packed).to_bytes(3, "little") + len(data).to_bytes(3, "little") + packed


def basket(payload: bytes, length: int = len(CONTENT)) -> np.ndarray:
    key_length = 70
    header = (key_length + len(payload)).to_bytes(4, "big") + b"\0\4" + length.to_bytes(4, "big") + b"\0" * 4
    key = (header + key_length.to_bytes(2, "big")).ljust(key_length, b"\0")
    return np.frombuffer(key + payload, np.uint8)


def content(stored: np.ndarray) -> bytes:
    return basket_content(stored, len(CONTENT), np.zeros(len(CONTENT) + 9, np.uint8)).tobytes()


def test_uncompressed_content_is_a_view_of_the_file():
    stored = basket(CONTENT)
    found = basket_content(stored, len(CONTENT), np.empty(0, np.uint8))
    assert found.tobytes() == CONTENT
    assert np.shares_memory(found, stored)


@pytest.mark.parametrize("algorithm", PACKERS)
def test_every_codec_gives_back_the_content_in_one_block_or_several(algorithm):
    assert content(basket(block(algorithm, CONTENT))) == CONTENT
    assert content(basket(block(algorithm, CONTENT[:7000]) + block(algorithm, CONTENT[7000:]))) == CONTENT


@pytest.mark.parametrize(
    "stored",
    [basket(CONTENT, length=12), basket(block(b"ZL", CONTENT))[:-1], basket(b"CS" + block(b"ZL", CONTENT)[2:])],
    ids=["length", "size", "algorithm"],
)
def test_unknown_forms_are_left_to_others(stored):
    with pytest.raises(UnusualBasketError):
        content(stored)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (basket(CONTENT)[:12], "the file ends within a basket"),
        (basket(block(b"ZL", CONTENT[:900])), "compressed data end too early"),
        (basket(block(b"ZS", CONTENT + CONTENT)), "the lengths in a compression header do not fit"),
    ],
)
def test_content_that_does_not_fit_its_header_is_damage(stored, message):
    with pytest.raises(DamagedBasketError, match=message):
        content(stored)


@pytest.mark.parametrize("algorithm", [b"L4", b"ZL", b"XZ"])
def test_flipped_bits_are_noticed_by_codecs_with_a_checksum(algorithm):
    payload = bytearray(block(algorithm, CONTENT))
    payload[len(payload) // 2] ^= 1
    with pytest.raises(DamagedBasketError, match=r"checksum of an LZ4 block differs|Error"):
        content(basket(bytes(payload)))


def test_less_content_than_the_header_of_a_block_promises_is_damage():
    payload = bytearray(block(b"ZS", CONTENT[:-4]))
    payload[6:9] = len(CONTENT).to_bytes(3, "little")
    with pytest.raises(DamagedBasketError, match="19996 bytes where 20000 are expected"):
        content(basket(bytes(payload)))


def test_a_frame_that_holds_more_than_its_header_promises_is_damage():
    stored = bytearray(block(b"ZS", CONTENT + b"more"))
    stored[6:9] = len(CONTENT).to_bytes(3, "little")
    with pytest.raises(DamagedBasketError, match=f"more than {len(CONTENT)} bytes where no more are expected"):
        content(basket(bytes(stored)))
