import json

import pytest

from macro import benchmark_loader

ROWS = {
    "loader.zstd",
    "loader_fallback.zstd",
    "limit.decompress.zstd",
    "limit.memcpy",
    "cache.shuffle",
    "cache.build",
    "loader.first_batch_s",
    "loader.first_batch_new_files_s",
    "loader.peak_memory_mb",
    "loader.memory_slope",
}
KEYS = {"name", "value", "unit", "error", "reference", "ratio", "n", "context"}


def test_every_row_is_printed_once_as_json_beside_its_reference(tmp_path, monkeypatch, capsys):
    # A run so small that its numbers mean nothing.
    monkeypatch.setattr(benchmark_loader, "BATCH", 8)
    monkeypatch.setattr(benchmark_loader, "copy_memory", lambda: 1000.0)
    start_rows, memory_rows = benchmark_loader.start_rows, benchmark_loader.memory_rows
    monkeypatch.setattr(benchmark_loader, "start_rows", lambda *given: start_rows(*given, num_files=2))
    monkeypatch.setattr(benchmark_loader, "memory_rows", lambda folder: memory_rows(folder, num_epochs=12))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    small = ["--events", "320", "--basket", "64", "--repeat", "1", "--codecs", "zstd"]
    benchmark_loader.main([*small, "--scratch", str(tmp_path), "--json"])
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    rows = {row["name"]: row for row in printed}
    assert rows.keys() == ROWS
    assert len(printed) == len(ROWS)
    assert all(row.keys() == KEYS for row in printed)
    for name in ("loader.zstd", "loader_fallback.zstd", "cache.build"):
        assert rows[name]["ratio"] == pytest.approx(rows[name]["value"] / rows[name]["reference"])
    assert rows["cache.shuffle"]["reference"] == pytest.approx(1000.0)
    assert rows["limit.memcpy"]["reference"] is None
