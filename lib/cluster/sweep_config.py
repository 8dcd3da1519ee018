"""A sweep as its user writes it: one base configuration and what varies."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, StringConstraints, model_validator

from lib.config import Section

Scalar: TypeAlias = bool | int | float | str | None
Setting: TypeAlias = Scalar | list[Scalar]
"""A value of one configuration key."""

SettingKey: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]
"""``section.key``, as after ``--set``."""

MAX_POINTS = 100_000


class Interval(Section):
    """Numbers between two bounds, from which trials draw."""

    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    log: bool = False
    """Draw the logarithm uniformly."""
    integer: bool = False
    """Draw whole numbers."""

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        if not self.low < self.high:
            raise ValueError("low must lie below high")
        if self.log and self.low <= 0:
            raise ValueError("a logarithmic interval needs low > 0")
        if self.integer and (self.low % 1 or self.high % 1):
            raise ValueError("an interval of whole numbers needs whole bounds")
        return self


class Choice(Section):
    """Values of which trials draw one."""

    choice: list[Setting] = Field(min_length=1)
    """The values."""


Space: TypeAlias = dict[SettingKey, Interval | Choice]


class RandomSearch(Section):
    """Points drawn independently of each other."""

    trials: int = Field(ge=1, le=MAX_POINTS)
    """How many points."""
    seed: int = Field(0, ge=0)
    """Chooses the points."""
    space: Space = Field(min_length=1)
    """What varies, and where."""


class StudySearch(Section):
    """Points that Optuna proposes from the results so far; its workers share one study on disk."""

    trials: int = Field(ge=1, le=MAX_POINTS)
    """How many trials in all, pruned ones included."""
    seed: int = Field(0, ge=0)
    """Of the proposals; with several workers their order, and so the proposals, depend on timing."""
    space: Space = Field(min_length=1)
    """What varies, and where."""
    workers: int = Field(1, ge=1, le=1000)
    """Jobs that work on the study together."""
    metric: str = "val/loss"
    """What is made small."""
    pruning: bool = True
    """End trials whose metric lies above the median of earlier trials at the same epoch."""
    warmup_epochs: int = Field(3, ge=0)
    """Epochs in which no trial is ended."""


class SweepConfig(Section):
    """A base configuration and what varies: exactly one of grid, points, random and optuna."""

    WAYS: ClassVar = ("grid", "points", "random", "optuna")

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$")]
    """Name of the sweep; runs are called by it and a number."""
    kind: Literal["mae", "regressor", "inpainter"]
    """Which training."""
    base: Path
    """Configuration that the points differ from."""
    fixed: dict[SettingKey, Setting] = Field(default_factory=dict)
    """Settings of all points."""
    grid: dict[SettingKey, list[Setting]] | None = None
    """Values of each key; every combination is a point."""
    points: list[dict[SettingKey, Setting]] | None = None
    """The points one by one."""
    random: RandomSearch | None = None
    """Points drawn at random."""
    optuna: StudySearch | None = None
    """Points proposed by Optuna."""
    at_a_time: int | None = Field(None, ge=1)
    """Jobs that may run together; null for all."""

    @model_validator(mode="after")
    def _has_one_way(self) -> Self:
        given = [way for way in self.WAYS if getattr(self, way) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(self.WAYS)}; got {' and '.join(given) or 'none'}")
        if not all((self.grid or {"": [0]}).values()) or self.points == []:
            raise ValueError("every key of grid needs a value, and points needs a point")
        return self
