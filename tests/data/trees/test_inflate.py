import zlib
from concurrent.futures import ThreadPoolExecutor

import deflate
import numpy as np
import pytest

from lib.data.trees import inflate

CONTENT = np.arange(3000, dtype=np.uint16).view(np.uint8)
PACKED = np.frombuffer(zlib.compress(CONTENT.tobytes(), 1), np.uint8)


@pytest.fixture(params=[True, False], ids=["direct", "by the interface"])
def form(request, monkeypatch):
    """Both ways of calling the library."""
    if not request.param:
        monkeypatch.setattr(inflate, "_library", lambda: None)
    elif inflate._library() is None:
        pytest.skip("the extension module hides the functions of the library")


def unpacked(packed, excess=0):
    into = np.zeros(len(CONTENT) + excess, np.uint8)
    inflate.decompress_zlib(packed, into)
    return into


@pytest.mark.usefixtures("form")
def test_the_content_is_that_of_the_standard_library():
    assert np.array_equal(unpacked(PACKED), CONTENT)


@pytest.mark.usefixtures("form")
def test_threads_do_not_disturb_each_other():
    with ThreadPoolExecutor(4) as executor:
        assert all(np.array_equal(content, CONTENT) for content in executor.map(unpacked, [PACKED] * 200))


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("excess", [-1, 1])
def test_another_number_of_bytes_is_a_fault(excess):
    with pytest.raises(deflate.DeflateError):
        unpacked(PACKED, excess)


@pytest.mark.usefixtures("form")
def test_changed_bytes_are_a_fault():
    damaged = PACKED.copy()
    damaged[len(damaged) // 2] ^= 16
    with pytest.raises(deflate.DeflateError):
        unpacked(damaged)


def test_an_extension_without_the_functions_is_not_called_directly(monkeypatch):
    monkeypatch.setattr(inflate.deflate._deflate, "__file__", inflate.np._core._multiarray_umath.__file__)
    inflate._library.cache_clear()
    assert inflate._library() is None
    monkeypatch.undo()
    inflate._library.cache_clear()
