"""A library that cannot be compiled must be a message, never a failure."""

import logging
from pathlib import Path

import pytest

from lib import compiled
from lib.compiled import load_library


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    load_library.cache_clear()
    return tmp_path / "cache" / "xec-ml"


def write_source(folder: Path, text: str) -> Path:
    path = folder / "twice.c"
    path.write_text(text)
    return path


def test_a_library_is_compiled_once(tmp_path: Path, own_cache: Path) -> None:
    source = write_source(tmp_path, "int twice(int x) { return 2 * x; }")
    library = load_library(source)
    if library is None:
        pytest.skip("no C compiler on this machine")
    assert library.twice(21) == 42
    (built,) = own_cache.iterdir()
    before = built.stat().st_mtime_ns
    load_library.cache_clear()
    assert load_library(source) is not None
    assert built.stat().st_mtime_ns == before


def test_a_changed_source_is_another_library(tmp_path: Path, own_cache: Path) -> None:
    if load_library(write_source(tmp_path, "int twice(int x) { return 2 * x; }")) is None:
        pytest.skip("no C compiler on this machine")
    load_library.cache_clear()
    changed = load_library(write_source(tmp_path, "int twice(int x) { return x + x + 1; }"))
    assert changed is not None
    assert changed.twice(1) == 3
    assert len(list(own_cache.iterdir())) == 2


def test_a_source_that_does_not_compile_is_reported(
    tmp_path: Path, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if compiled.shutil.which("cc") is None:
        pytest.skip("no C compiler on this machine")
    assert load_library(write_source(tmp_path, "this is not C")) is None
    assert "could not be compiled" in caplog.text
    assert not list(own_cache.iterdir())


def test_a_missing_compiler_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with caplog.at_level(logging.INFO):
        assert load_library(write_source(tmp_path, "int one;")) is None
    assert "no C compiler" in caplog.text
