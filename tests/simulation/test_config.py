"""Settings must reach the simulation, and impossible ones be refused with their place."""

from pathlib import Path

import pytest

from lib.errors import ConfigError
from lib.simulation.config import SimulationConfig
from lib.simulation.presets import PRESETS, build_config


def test_the_default_preset_is_the_default_configuration() -> None:
    assert build_config() == SimulationConfig()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid(preset: str) -> None:
    assert isinstance(build_config(preset), SimulationConfig)  # type: ignore[arg-type]


def test_the_file_wins_over_the_preset_and_assignments_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("pileup: {probability: 0.3}\nenergy: {value: 30.0}\n")
    config = build_config("data_like", path, ["energy.value=40.0"])
    assert config.pileup.probability == 0.3
    assert config.energy.value == 40.0
    assert config.xenon.fluctuation == 0.012


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["energy.low=10.0"], "kind 'mono' takes value, not low"),
        (["energy.kind=uniform", "energy.low=60.0", "energy.high=20.0"], "low must lie below high"),
        (["detector.positions_file=x.txt", "detector.displacement=0.5"], "set displacement to 0"),
        (["enregy.kind=mono"], "unknown key; nearest: energy"),
        (["dead.number=-1"], "greater than or equal to 0"),
    ],
)
def test_impossible_settings_are_refused(assignments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_config(assignments=assignments)
