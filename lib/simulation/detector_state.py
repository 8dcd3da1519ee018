"""What differs between channels and stays the same during a run: efficiency, calibration, dead channels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import ConfigError
from lib.geometry.coordinates import BoolArray
from lib.geometry.sensors import NUM_SENSORS, FloatArray, IndexArray, SensorTable, load_sensors, nominal_sensors
from lib.simulation.config import DeadConfig, DetectorConfig, SensorConfig, SimulationConfig
from lib.simulation.particles import Float32Array
from lib.simulation.survey import displaced_sensors

# A channel with less than half the mean efficiency, or more than 1.5 times, would not have been installed.
_EFFICIENCY_RANGE = (0.5, 1.5)


@dataclass(frozen=True)
class DetectorState:
    """The detector during one run.

    Attributes:
        sensors: Where the sensors are.
        efficiency: Photoelectrons per photon of each sensor, shape (4760,).
        calibration: The same as the analysis believes it to be, shape (4760,).
        excess_noise: Factor on the variance of the photoelectrons, shape (4760,).
        noise: Electronic noise in photoelectrons, shape (4760,).
        time_offset: Error of each channel's time, ns, shape (4760,).
        dead: True for channels without a value, shape (4760,).
    """

    sensors: SensorTable
    efficiency: Float32Array
    calibration: Float32Array
    excess_noise: Float32Array
    noise: Float32Array
    time_offset: Float32Array
    dead: BoolArray


def build_detector(config: SimulationConfig, run: int) -> DetectorState:
    """Return the detector of a run; the same for all runs unless ``detector.per_run`` says otherwise.

    Raises:
        GeometryError: If the positions file does not describe the detector.
        ConfigError: If the list of dead channels cannot be used.
    """
    settings, sensors = config.detector, _sensor_table(config.detector)
    is_mppc = sensors.is_mppc
    fixed = np.random.default_rng([settings.seed, 0])
    varying = np.random.default_rng([settings.seed, 1, run if settings.per_run else 0])
    efficiency = _efficiency(fixed, config.sensors, is_mppc)
    calibration = efficiency * varying.normal(1.0, config.sensors.miscalibration, NUM_SENSORS)
    offset = varying.normal(0.0, config.timing.channel_offset, NUM_SENSORS)
    excess_noise = np.where(is_mppc, config.sensors.mppc_excess_noise, config.sensors.pmt_excess_noise)
    noise = np.where(is_mppc, config.sensors.mppc_noise, config.sensors.pmt_noise)
    return DetectorState(
        sensors,
        efficiency.astype(np.float32),
        calibration.astype(np.float32),
        excess_noise.astype(np.float32),
        noise.astype(np.float32),
        offset.astype(np.float32),
        _dead_channels(varying, config.dead),
    )


def _sensor_table(settings: DetectorConfig) -> SensorTable:
    if settings.positions_file is not None:
        return load_sensors(settings.positions_file)
    if settings.displacement > 0:
        return displaced_sensors(np.random.default_rng([settings.seed, 2]), settings.displacement)
    return nominal_sensors()


def _efficiency(rng: np.random.Generator, settings: SensorConfig, is_mppc: BoolArray) -> FloatArray:
    """Draw efficiencies, shape (4760,)."""
    mean = np.where(is_mppc, settings.mppc_efficiency, settings.pmt_efficiency)
    spread = np.where(is_mppc, settings.mppc_efficiency_spread, settings.pmt_efficiency_spread)
    return mean * np.clip(rng.normal(1.0, spread), *_EFFICIENCY_RANGE)


def _dead_channels(rng: np.random.Generator, settings: DeadConfig) -> BoolArray:
    """Draw dead channels and add those of the list, shape (4760,)."""
    dead = np.zeros(NUM_SENSORS, dtype=bool)
    dead[rng.permutation(NUM_SENSORS)[: settings.number]] = True
    if settings.list_file is not None:
        dead[read_channel_list(settings.list_file)] = True
    return dead


def read_channel_list(path: Path) -> IndexArray:
    """Read sensor ids from a text file, separated by blanks or lines; ``#`` starts a comment.

    Raises:
        ConfigError: If the file cannot be read or names something that is no sensor.
    """
    try:
        words = " ".join(line.partition("#")[0] for line in path.read_text(encoding="utf-8").splitlines()).split()
        ids = np.array([int(word) for word in words], dtype=np.intp)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a list of sensor ids ({error}). Set dead.list_file to one.") from error
    outside = ids[(ids < 0) | (ids >= NUM_SENSORS)]
    if len(outside):
        raise ConfigError(f"{path}: expected sensor ids from 0 to {NUM_SENSORS - 1}, got {outside[0]}.")
    return ids
