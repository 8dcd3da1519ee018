"""Ranges, shapes and shares must be those of the file, whatever its branches are called."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from lib.cli.entry import run_command
from lib.data.trees.tree_description import BranchDescription, bars, describe_file, describe_values
from macro.inspect_root import main


@pytest.fixture
def file(tmp_path: Path) -> Path:
    npho = np.tile(np.arange(10, dtype=np.float32), (4, 1))
    npho[:, 0] = 1e10
    npho[0, 1] = np.nan
    with uproot.recreate(tmp_path / "a.root") as root:
        root.mktree("rec", {"renamed_npho": (np.float32, (10,)), "event": np.int64, "hits": "var * float32"})
        hits = ak.Array([[1.0], [], [2.0, 3.0], [4.0]])
        root["rec"].extend(
            {"renamed_npho": npho, "event": np.array([0, 1, 2, 10**12]), "hits": ak.values_astype(hits, np.float32)}
        )
    return tmp_path / "a.root"


def described(file: Path) -> dict[str, BranchDescription]:
    (tree,) = describe_file(file, tree_name=None, entries=100, bins=5)
    assert (tree.name, tree.num_entries, tree.num_read) == ("rec", 4, 4)
    return {one.name: one for one in tree.branches}


def test_ranges_shapes_and_shares_are_those_of_the_file(file: Path) -> None:
    npho = described(file)["renamed_npho"]
    assert (npho.shape, npho.num_values, npho.low, npho.high) == ((10,), 40, 1.0, 9.0)
    assert (npho.no_value, npho.not_finite, npho.zero) == (0.1, 1 / 40, 0.0)


def test_large_event_numbers_are_no_sentinels(file: Path) -> None:
    event = described(file)["event"]
    assert (event.shape, event.no_value, event.high) == ((), 0.0, 1e12)


def test_entries_of_different_lengths_are_told_apart(file: Path) -> None:
    hits = described(file)["hits"]
    assert hits.shape is None
    assert hits.counts is None


def test_a_branch_of_one_value_or_none_has_a_histogram() -> None:
    one = describe_values("a", "float", np.full(7, 3.0), bins=4)
    assert one.counts is not None
    assert one.counts.sum() == 7
    none = describe_values("a", "float", np.full(7, 1e10), bins=4)
    assert none.no_value == 1.0
    assert np.isnan(none.low)


def test_bars_rise_with_the_counts() -> None:
    assert bars(np.array([0, 1, 500, 1000])) == " ▁▄█"


def test_the_macro_prints_every_branch(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(file), "--entries", "2"]) == 0
    text = capsys.readouterr().out
    for expected in (
        "tree 'rec': 4 entries, the first 2",
        "renamed_npho[10]",
        "10.00% no value",
        "no plain numbers",
        "█",
    ):
        assert expected in text


def test_the_macro_draws_a_figure(file: Path, tmp_path: Path) -> None:
    assert main([str(file), "--output", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_mistakes_are_told_with_code_2(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, [str(file), "--tree", "rek"]) == 2
    assert "no tree 'rek'; nearest: rec" in capsys.readouterr().err
    assert run_command(main, [str(tmp_path / "none.root")]) == 2
    assert "no such file" in capsys.readouterr().err
    with uproot.recreate(tmp_path / "empty.root") as root:
        root["text"] = "nothing"
    assert run_command(main, [str(tmp_path / "empty.root")]) == 2
    assert "holds no tree" in capsys.readouterr().err
