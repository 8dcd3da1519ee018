"""Settings of the input files, of the loader and of the normalization."""

from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from lib.config import Section
from lib.data.branches import (
    DEAD,
    EMISSION_ANGLE,
    ENERGY,
    EVENT,
    INPUT_NAMES,
    NPHO,
    NPHO_EXPECTED,
    RUN,
    TIME,
    TIME_TRUTH,
    TREE_NAME,
    TRUTH_WIDTHS,
    UVW,
)
from lib.data.choice.expression import parse_expression
from lib.errors import nearest
from lib.geometry.coordinates import Fiducial

# Names that stand for expressions: those of the tasks, and of single components.
NAMED_QUANTITIES: Final[dict[str, tuple[str, ...]]] = {
    "angle": (f"{EMISSION_ANGLE}[0]", f"{EMISSION_ANGLE}[1]"),
    "theta": (f"{EMISSION_ANGLE}[0]",),
    "phi": (f"{EMISSION_ANGLE}[1]",),
    "energy": (ENERGY,),
    "timing": (TIME_TRUTH,),
    "uvwFI": (f"{UVW}[0]", f"{UVW}[1]", f"{UVW}[2]"),
    "u": (f"{UVW}[0]",),
    "v": (f"{UVW}[1]",),
    "w": (f"{UVW}[2]",),
}
MOST_CELLS: Final = 1_000_000


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class FiducialConfig(Section):
    """Bounds of the fiducial volume in cm; the defaults are the experiment's."""

    u_max: float = Field(Fiducial.u_max, gt=0)
    """Largest |u| that is accepted."""
    v_max: float = Field(Fiducial.v_max, gt=0)
    """Largest |v| that is accepted."""
    w_min: float = Field(Fiducial.w_min)
    """Smallest depth that is accepted."""

    def volume(self) -> Fiducial:
        """Return the volume that these bounds describe."""
        return Fiducial(self.u_max, self.v_max, self.w_min)


class BinnedQuantities(Section):
    """A histogram of the training events in one to three dimensions."""

    quantities: Annotated[list[str], BeforeValidator(_as_list)] = Field(min_length=1, max_length=3)
    """Names (energy, timing, angle, theta, phi, uvwFI, u, v, w) or expressions of branches (nGamma, emiVec[2])."""
    bins: int = Field(20, ge=1, le=1000)
    """Bins of each quantity, of equal width between its smallest and largest value."""

    @model_validator(mode="after")
    def _can_be_evaluated(self) -> Self:
        expressions = self.expressions()
        for text in expressions:
            parse_expression(text)
        if len(expressions) > 3 or self.bins ** len(expressions) > MOST_CELLS:
            raise ValueError(
                f"{' and '.join(self.quantities)} are {len(expressions)} quantities with {self.bins} bins each; at "
                f"most 3 quantities and {MOST_CELLS} bins in all. Lower bins, or name fewer"
            )
        return self

    def expressions(self) -> list[str]:
        """Return the expressions that are binned, names replaced by what they stand for."""
        return [part for text in self.quantities for part in NAMED_QUANTITIES.get(text.strip(), (text,))]


class ReweightingConfig(BinnedQuantities):
    """Weights that make every bin of a histogram of the training events count the same."""

    max_weight: float = Field(10.0, ge=1)
    """Largest weight; rare bins count less than the others rather than dominate."""


class BalanceConfig(BinnedQuantities):
    """Draws of the training events in which every bin of a histogram appears equally often."""

    max_repeats: int = Field(10, ge=1)
    """How often an event may appear in an epoch; rare bins stay below the others rather than repeat more."""


class DataConfig(Section):
    """Which events are read, and how."""

    train_path: str | list[str]
    """Training files: a file, a URL, a folder, a glob, a text file with one of these per line, or a list of them."""
    val_path: str | list[str]
    """Validation files, like train_path."""
    tree_name: str = TREE_NAME
    """Tree that holds the events."""
    npho_branch: str = NPHO
    """Branch of photon counts: npho or relative_npho."""
    time_branch: str = TIME
    """Branch of sensor times in seconds: time or relative_time."""
    branches: dict[str, str] = Field({})
    """Names of branches where files use others, such as {energyTruth: Etrue, run: runNumber}; ours first."""
    batch_size: int = Field(256, ge=1)
    """Events of one batch, over all processes together: the result does not depend on how many share it."""
    chunksize: int = Field(4096, ge=1)
    """Events that are held in memory and mixed at a time, 8192 at most; about 96 kB each and worker."""
    num_workers: Annotated[int, Field(ge=0, le=64)] | Literal["auto"] = 0
    """Processes that read ahead; 0 reads in a thread of the training process. auto: up to 4 on a machine with a GPU
    where two processes could be spawned, else 0."""
    num_threads: int = Field(2, ge=1, le=256)
    """Threads of each worker that decompress and normalize."""
    compiled: bool = True
    """Normalize in compiled code where there is a C compiler; false always takes the slower way through NumPy."""
    normalize_on: Literal["loader", "device"] = "loader"
    """Where the normalization is applied: by the loader's threads, or at each step on the device, which is handed the
    readings as they were measured. The result is the same; events of the packed cache are normalized already."""
    prefetch_factor: int = Field(2, ge=1, le=64)
    """Chunks that each worker prepares ahead."""
    prefetch_chunks: int = Field(1, ge=1, le=64)
    """Chunks that the threads of the training process prepare ahead, where there are no workers; 48 kB an event."""
    worker_timeout: float = Field(300.0, gt=0)
    """Seconds without a chunk after which a worker that is waited for is ended and started anew."""
    on_bad: Literal["error", "quarantine"] = "error"
    """What happens when events cannot be read: stop, or leave them out and go on."""
    max_bad_share: float = Field(0.01, ge=0, le=1)
    """Share of the events that quarantine may leave out before the training stops."""
    log_invalid_npho: bool = False
    """Count the photon counts that are no value or lie below the domain of normalization.npho_scheme, and log their
    shares after each epoch."""
    quarantine_report: str = "quarantine.jsonl"
    """File to which events that were left out are appended, one JSON object per line."""
    cache: Literal["off", "auto", "require"] = "off"
    """Packed copies of the files: auto builds what is missing, require refuses to start without them."""
    cache_dir: str | None = None
    """Folder of the packed cache; 19 kB an event."""
    fiducial: FiducialConfig | bool = False
    """True or bounds: keep only events whose true first interaction lies in the fiducial volume."""
    energy_range: list[float] | None = Field(None, min_length=2, max_length=2)
    """Smallest and largest true energy in GeV that is used."""
    cut: str | None = None
    """Expression that used events fulfil, such as "abs(uvwTruth[0]) < 20 and nGamma == 1"."""
    reweighting: ReweightingConfig | None = None
    """Weights that flatten the spectrum of one to three quantities in training; none by default."""
    balance: BalanceConfig | None = None
    """Draw the events of each training epoch so that bins appear equally often; by default each event once."""

    @model_validator(mode="after")
    def _renamed_branches_are_known(self) -> Self:
        known = (*INPUT_NAMES, *TRUTH_WIDTHS, NPHO_EXPECTED, DEAD, RUN, EVENT, self.npho_branch, self.time_branch)
        for name in self.branches:
            if name not in known:
                raise ValueError(
                    f"branches: {name!r} is no branch of this suite; nearest: {nearest(name, known)}. The name in the "
                    "file stands on the right"
                )
        return self

    @model_validator(mode="after")
    def _prefetches_in_one_way(self) -> Self:
        if self.num_workers and self.prefetch_chunks > 1:
            raise ValueError(
                f"prefetch_chunks: {self.prefetch_chunks} is for threads of the training process; with num_workers: "
                f"{self.num_workers} set prefetch_factor, the chunks of each worker"
            )
        return self

    @model_validator(mode="after")
    def _cache_has_a_place(self) -> Self:
        if self.cache != "off" and self.cache_dir is None:
            raise ValueError(f"cache: {self.cache} needs cache_dir, the folder of the packed cache")
        return self

    @model_validator(mode="after")
    def _flattens_once(self) -> Self:
        if self.reweighting and self.balance:
            raise ValueError("reweighting and balance both flatten a spectrum, and together do it twice; give one")
        return self

    @field_validator("cut")
    @classmethod
    def _cut_can_be_evaluated(cls, text: str | None) -> str | None:
        if text is not None:
            parse_expression(text)
        return text

    @field_validator("energy_range")
    @classmethod
    def _range_ascends(cls, bounds: list[float] | None) -> list[float] | None:
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ValueError("the lower bound must lie below the upper one")
        return bounds

    @property
    def worker_processes(self) -> int:
        """Processes that read ahead; none where nobody has chosen for ``auto``."""
        return 0 if self.num_workers == "auto" else self.num_workers

    def fiducial_volume(self) -> Fiducial | None:
        """Return the volume to which events are restricted, or None for all events."""
        if isinstance(self.fiducial, FiducialConfig):
            return self.fiducial.volume()
        return Fiducial() if self.fiducial else None


class NormalizationConfig(Section):
    """How photon counts and times become network inputs; travels with every checkpoint."""

    npho_scheme: Literal["log1p", "sqrt", "anscombe", "linear"] = "log1p"
    """Transform of the photon count."""
    npho_scale: float = Field(1000.0, gt=0)
    """s1: photons at which the transform bends."""
    npho_scale2: float = Field(4.08, gt=0)
    """s2: divisor after the logarithm; used by log1p alone."""
    time_scale: float = Field(1.14e-7, gt=0)
    """Seconds that become 1."""
    time_shift: float = -0.46
    """Subtracted after scaling."""
    sentinel_npho: float = -1.0
    """Network input of a sensor without photon count."""
    sentinel_time: float = -1.0
    """Network input of a sensor without time."""
    npho_threshold: float = 100.0
    """Photons below which a sensor's time is not used."""
