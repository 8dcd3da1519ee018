"""The macros about the simulation run on a few events and print rows that can be read."""

import json
from pathlib import Path

import numpy as np
import pytest
import uproot

from lib.cli.entry import EXIT_DONE
from lib.data.trees.branch_arrays import read_branches
from lib.errors import DataError
from lib.simulate import main as simulate
from macro import benchmark_simulation, estimate_bounds, validate_simulation
from macro.reconstruct_conventional import main as reconstruct


def rows(text: str) -> dict[str, dict[str, float]]:
    return {row["name"]: row for row in map(json.loads, text.splitlines())}


def test_validation_prints_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        validate_simulation.main(["--events", "500", "--fit-events", "500", "--light-sources", "9", "--json"])
        == EXIT_DONE
    )
    found = rows(capsys.readouterr().out)
    expected = {*validate_simulation.FIGURES, "light_error_max"}
    assert set(found) == expected | {f"conventional.{name}" for name in validate_simulation.CONVENTIONAL}
    assert found["light_error_max"]["ratio"] < 1
    assert found["photoelectrons"]["ratio"] == pytest.approx(1, abs=0.05)


def test_bounds_are_printed_with_references_for_the_default_alone(capsys: pytest.CaptureFixture[str]) -> None:
    estimate_bounds.main(["--events", "10", "--json"])
    default = rows(capsys.readouterr().out)
    estimate_bounds.main(["--events", "10", "--json", "--set", "energy.value=20.0"])
    lower = rows(capsys.readouterr().out)
    assert default["bound.energy_percent"]["ratio"] == pytest.approx(1, abs=0.1)
    assert lower["bound.energy_percent"]["reference"] is None
    # Photon statistics: with the square root of the energy.
    ratio = lower["bound.energy_percent"]["value"] / default["bound.energy_percent"]["value"]
    assert ratio == pytest.approx((52.83 / 20) ** 0.5, rel=0.1)


def test_speed_is_measured_in_fresh_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark_simulation.main(["--events", "8", "--scratch", str(tmp_path), "--json"])
    found = rows(capsys.readouterr().out)
    assert set(found) == {"simulate.one_process", "simulate.two_processes"}
    assert all(row["value"] > 0 for row in found.values())
    assert not list(tmp_path.iterdir())


def test_a_file_is_reconstructed_event_by_event(tmp_path: Path) -> None:
    simulate(["--output", str(tmp_path), "--events", "400", "--seed", "1"])
    source, output, saved = tmp_path / "events_000001_0000.root", tmp_path / "c.root", tmp_path / "c.npz"
    reconstruct(["--train", str(source), "--input", str(source), "--output", str(output), "--save", str(saved)])
    again = tmp_path / "d.root"
    reconstruct(["--load", str(saved), "--input", str(source), "--output", str(again)])
    first, second = (uproot.open(path)["conventional"].arrays(library="np") for path in (output, again))
    truth = uproot.open(source)["tree"].arrays(["event", "uvwTruth"], library="np")
    np.testing.assert_array_equal(first["event"], truth["event"])
    assert np.median(np.linalg.norm(first["uvw"] - truth["uvwTruth"], axis=1)) < 1.0
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_a_file_without_the_branches_is_refused(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "x.root") as file:
        file["tree"] = {"other": np.zeros(3)}
    with pytest.raises(DataError, match="cannot be read as a tree 'tree' with npho"):
        read_branches(tmp_path / "x.root", ["npho"], "tree")
