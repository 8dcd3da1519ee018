"""Settings of the simulation.

Energies are MeV and times ns here, as in the physics they describe; the files carry GeV and s.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from lib.config import Section
from lib.geometry.coordinates import Fiducial

_ENERGY_KEYS = {"mono": {"value"}, "uniform": {"low", "high"}, "exponential": {"mean", "maximum"}}


class EnergyConfig(Section):
    """Spectrum of the photons."""

    kind: Literal["mono", "uniform", "exponential"] = "mono"
    """One line, a flat band, or a falling background spectrum above 1 MeV."""
    value: float = Field(52.83, gt=0, le=300)
    """mono: the energy; the default is that of mu -> e gamma, half the muon's mass."""
    low: float = Field(15.0, gt=0)
    """uniform: lower edge."""
    high: float = Field(60.0, gt=0, le=300)
    """uniform: upper edge."""
    mean: float = Field(8.0, gt=0)
    """exponential: mean above 1 MeV."""
    maximum: float = Field(55.0, gt=1, le=300)
    """exponential: larger draws are set to this."""

    @model_validator(mode="after")
    def _check_kind(self) -> "EnergyConfig":
        foreign = sorted(self.model_fields_set - _ENERGY_KEYS[self.kind] - {"kind"})
        if foreign:
            wanted = ", ".join(sorted(_ENERGY_KEYS[self.kind]))
            raise ValueError(f"kind {self.kind!r} takes {wanted}, not {', '.join(foreign)}")
        if self.kind == "uniform" and self.low >= self.high:
            raise ValueError(f"low must lie below high, not {self.low} and {self.high}")
        return self


class XenonConfig(Section):
    """Liquid xenon at 165 K as a radiator and a scintillator."""

    density: float = Field(2.95, gt=0)
    """g/cm^3."""
    radiation_length: float = Field(2.87, gt=0)
    """cm."""
    photons_per_mev: float = Field(46_000.0, gt=0)
    """Scintillation photons per MeV: one per 21.6 eV."""
    group_index: float = Field(1.80, ge=1)
    """Effective index for the speed of 175 nm light."""
    absorption_length: float = Field(300.0, gt=0)
    """cm."""
    rayleigh_length: float = Field(45.0, gt=0)
    """cm; scattered light is lost to the direct light and counted as diffuse."""
    diffuse_fraction: float = Field(0.125, ge=0, le=1)
    """Share of the light not seen directly that surfaces and scattering bring to a sensor after all."""
    diffuse_range: float = Field(35.0, gt=0)
    """cm; the diffuse light falls as 1 / (d^2 + range^2) around the centre of the light."""
    fluctuation: float = Field(0.0, ge=0, le=0.2)
    """Relative fluctuation of the light yield, common to an event."""


class SensorConfig(Section):
    """Response of the photosensors."""

    mppc_efficiency: float = Field(0.08, gt=0, le=1)
    """Mean photon detection efficiency of the MPPCs."""
    mppc_efficiency_spread: float = Field(0.10, ge=0)
    """Its relative spread among channels, corrected by the calibration."""
    pmt_efficiency: float = Field(0.16, gt=0, le=1)
    """Mean quantum efficiency of the PMTs."""
    pmt_efficiency_spread: float = Field(0.12, ge=0)
    """Its relative spread among channels, corrected by the calibration."""
    miscalibration: float = Field(0.02, ge=0)
    """Relative error of the calibration, per channel."""
    mppc_excess_noise: float = Field(1.30, ge=1)
    """Factor on the variance of an MPPC: crosstalk, afterpulses, gain."""
    pmt_excess_noise: float = Field(1.10, ge=1)
    """Factor on the variance of a PMT."""
    mppc_noise: float = Field(2.0, ge=0)
    """Photoelectrons of electronic noise in the charge window."""
    pmt_noise: float = Field(1.0, ge=0)
    """Photoelectrons of electronic noise in the charge window."""


class TimingConfig(Section):
    """Measurement of a sensor's time."""

    walk: float = Field(1.5, ge=0)
    """ns / sqrt(photoelectrons): delay of a small pulse."""
    statistics: float = Field(12.0, ge=0)
    """ns / sqrt(photoelectrons): spread by photon statistics."""
    constant: float = Field(0.10, ge=0)
    """ns: spread by the electronics."""
    channel_offset: float = Field(0.03, ge=0)
    """ns: residual error of the time calibration, per channel."""
    event_jitter: float = Field(0.0, ge=0)
    """ns: spread of the reference clock, common to an event."""
    min_photoelectrons: float = Field(5.0, ge=1)
    """A smaller pulse has no time."""


class TriggerConfig(Section):
    """When an event happens, and which ones are kept."""

    t0_spread: float = Field(20.0, ge=0)
    """ns; the photon leaves the target uniformly within plus and minus this."""
    min_deposit: float = Field(5.0, ge=0)
    """MeV that must stay in the xenon."""


class DeadConfig(Section):
    """Channels without a value."""

    number: int = Field(88, ge=0, le=2000)
    """Channels drawn at random; beside those of the list."""
    list_file: Path | None = None
    """Text file with ids of dead sensors."""


class DetectorConfig(Section):
    """Which detector: geometry, efficiencies, calibration errors and dead channels are functions of these."""

    seed: int = Field(1, ge=0)
    """Seed of everything that differs between channels."""
    per_run: bool = False
    """Draw calibration errors and dead channels anew for each run number."""
    positions_file: Path | None = None
    """Sensor table ('id x y z' in cm, or with the normal 'nx ny nz') in place of the nominal one."""
    displacement: float = Field(0.0, ge=0, le=2)
    """cm rms; displace the inner face smoothly, as a survey finds it, by the detector's seed."""

    @model_validator(mode="after")
    def _check_geometry(self) -> "DetectorConfig":
        if self.positions_file is not None and self.displacement > 0:
            raise ValueError("a positions_file states the displacement itself; set displacement to 0")
        return self


class PileupConfig(Section):
    """A second photon in the same readout window."""

    probability: float = Field(0.0, ge=0, le=1)
    """Share of the events that have one."""
    mean_energy: float = Field(8.0, gt=0)
    """MeV; its spectrum falls exponentially above 1 MeV."""
    window: float = Field(60.0, gt=0)
    """ns; it comes uniformly within plus and minus this."""


class OutputConfig(Section):
    """Branches beyond the sensors and the truth."""

    expected_light: bool = False
    """Write nphoExpected: the light before photon statistics and noise, also of dead channels."""
    relative: bool = False
    """Write relative_npho and relative_time, which double the size of the files and cost a quarter of the speed."""


class SimulationConfig(Section):
    """Everything that an event depends on, beside the seed, the run and its number."""

    energy: EnergyConfig = EnergyConfig()
    vertex: Literal["target", "point"] = "target"
    """Where photons start: spread over the muon stopping target, or at its centre."""
    u_max: float = Field(Fiducial.u_max, gt=0, le=33)
    """cm; photons aim at, and convert within, |u| below this."""
    v_max: float = Field(Fiducial.v_max, gt=0, le=71)
    """cm; photons aim at, and convert within, |v| below this."""
    xenon: XenonConfig = XenonConfig()
    sensors: SensorConfig = SensorConfig()
    timing: TimingConfig = TimingConfig()
    trigger: TriggerConfig = TriggerConfig()
    detector: DetectorConfig = DetectorConfig()
    dead: DeadConfig = DeadConfig()
    pileup: PileupConfig = PileupConfig()
    output: OutputConfig = OutputConfig()
