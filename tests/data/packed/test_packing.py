import hashlib

import pytest

from lib.data.files import bus_guard
from lib.data.packed import packing
from lib.data.packed.packing import file_hash
from lib.errors import DataError


@pytest.mark.parametrize("size", [0, 1, 2999, 3000, 3001])
@pytest.mark.parametrize("mapped", [True, False])
def test_the_hash_is_that_of_the_bytes_mapped_or_read_part_by_part(tmp_path, monkeypatch, size, mapped):
    if not mapped:
        monkeypatch.setattr(bus_guard, "load_library", lambda source: None)
    monkeypatch.setattr(packing, "_HASH_BYTES", 1000)
    content = bytes(index % 251 for index in range(size))
    (tmp_path / "a.root").write_bytes(content)
    assert file_hash(tmp_path / "a.root") == hashlib.sha256(content).hexdigest()


def test_what_is_cut_while_it_is_hashed_has_no_hash(tmp_path, monkeypatch):
    (tmp_path / "a.root").write_bytes(b"\1" * 50_000)
    monkeypatch.setattr(bus_guard.GuardedMap, "lost", True)
    monkeypatch.setattr(packing.LocalBytes, "read", lambda self, place, into: (_ for _ in ()).throw(EOFError("cut")))
    with pytest.raises(DataError, match=r"a\.root.*cut"):
        file_hash(tmp_path / "a.root")


def test_a_file_that_is_gone_has_no_hash(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        file_hash(tmp_path / "none.root")
