import json

import pytest

from lib.cli.entry import EXIT_DONE, EXIT_USER_ERROR, run_command
from macro import build_cache, scan_cache
from tests.data.root_files import make_events, write_root


def run(macro, *arguments) -> int:
    return run_command(macro.main, [str(argument) for argument in arguments])


def write_config(folder):
    (folder / "data").mkdir()
    for index in range(2):
        write_root(folder / "data" / f"{index}.root", make_events(6 + index))
    path = folder / "config.yaml"
    data = f"{{train_path: {folder}/data, val_path: {folder}/data/0.root}}"
    path.write_text(f"kind: mae\ndata: {data}\nmodel: {{any: 1}}\n")
    return path


def test_files_of_both_splits_are_packed_once_and_listed(tmp_path, capsys):
    cache = tmp_path / "cache"
    arguments = ("--config", write_config(tmp_path), "--set", f"data.cache_dir={cache}")
    assert run(build_cache, *arguments) == EXIT_DONE
    assert "2 files with 13 events, 2 of them packed now" in capsys.readouterr().out
    assert run(build_cache, *arguments) == EXIT_DONE
    assert "2 files with 13 events, 0 of them packed now" in capsys.readouterr().out
    assert run(scan_cache, cache, "--verify", "--json") == EXIT_DONE
    entries = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(entry["num_events"], entry["state"]) for entry in entries] == [(6, "current"), (7, "current")]


def test_a_scan_fails_when_something_cannot_be_used(tmp_path, capsys):
    cache = tmp_path / "cache"
    run(build_cache, "--config", write_config(tmp_path), "--set", f"data.cache_dir={cache}")
    (tmp_path / "data" / "1.root").unlink()
    assert run(scan_cache, cache) == EXIT_USER_ERROR
    shown = capsys.readouterr().out
    assert "the input file is gone" in shown
    assert "1 of 2 packed files usable, 6 events" in shown
    assert "read 13 = used 6 + cut 0 + quarantined 7" in shown


def test_parts_share_the_files_and_read_back_what_they_packed(tmp_path, capsys):
    cache = tmp_path / "cache"
    arguments = ("--config", write_config(tmp_path), "--set", f"data.cache_dir={cache}", "--parts", 2, "--verify")
    for part, events in ((0, 6), (1, 7)):
        assert run(build_cache, *arguments, "--part", part) == EXIT_DONE
        assert f"1 files with {events} events, 1 of them packed now" in capsys.readouterr().out
    # Another attempt finds everything done, and a flipped bit.
    packed = sorted(cache.glob("*.packed"))
    content = bytearray(packed[0].read_bytes())
    content[len(content) // 2] ^= 1
    packed[0].write_bytes(content)
    codes = [run(build_cache, *arguments, "--part", part) for part in (0, 1)]
    assert sorted(codes) == [EXIT_DONE, EXIT_USER_ERROR]
    assert "rows differ from their sums" in capsys.readouterr().err


def test_a_part_that_is_not_there_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(build_cache, "--config", tmp_path, "--part", 2, "--parts", 2)
    assert "--part: expected 0 to 1, got 2" in capsys.readouterr().err


def test_a_configuration_without_a_cache_is_refused(tmp_path, capsys):
    assert run(build_cache, "--config", write_config(tmp_path)) == EXIT_USER_ERROR
    assert "data.cache_dir is not set" in capsys.readouterr().err


def test_hashes_are_recorded_instead_of_packing(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert run(build_cache, "--config", write_config(tmp_path), "--hashes") == EXIT_DONE
    assert "2 files: hashes of 24 baskets recorded" in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.packed"))
