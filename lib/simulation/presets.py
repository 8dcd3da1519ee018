"""Named starting points of a simulation, and how a configuration is put together from them."""

from pathlib import Path
from typing import Final, Literal, TypeAlias

from lib.config.document import Document, Value, read_document
from lib.config.loading import validate
from lib.config.overrides import apply_overrides
from lib.simulation.config import SimulationConfig

PresetName: TypeAlias = Literal["default", "data_like", "calibration_55mev"]

PRESETS: Final[dict[PresetName, dict[str, Value]]] = {
    "default": {},
    # What real data have and a clean Monte Carlo has not.
    "data_like": {
        "xenon": {"fluctuation": 0.012},
        "timing": {"event_jitter": 0.03},
        "detector": {"displacement": 0.65, "per_run": True},
        "pileup": {"probability": 0.10},
    },
    # The lower photon of a neutral pion decaying in flight, seen back to back, from a hydrogen target at the centre.
    "calibration_55mev": {
        "energy": {"kind": "mono", "value": 54.9},
        "vertex": "point",
    },
}


def build_config(
    preset: PresetName = "default", path: Path | None = None, assignments: list[str] | None = None
) -> SimulationConfig:
    """Return the preset with the user's file and single settings laid over it.

    Args:
        preset: Where to start.
        path: YAML file with the settings that differ.
        assignments: ``section.key=value`` texts; they win over the file.

    Raises:
        ConfigError: Listing every fault with its place.
    """
    user = read_document(path) if path else Document(f"preset {preset}", {}, {})
    merged = Document(user.source, _merged(PRESETS[preset], user.data), user.lines)
    return validate(SimulationConfig, apply_overrides(merged, assignments or []))


def _merged(base: dict[str, Value], over: dict[str, Value]) -> dict[str, Value]:
    """Return ``base`` with the values of ``over``, section by section."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result
