"""From a sweep to its points: a pure function, so that every job of it sees the same ones."""

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from lib.cli.schemas import SCHEMAS
from lib.cluster.sweep_config import MAX_POINTS, Choice, Interval, Setting, SettingKey, Space, SweepConfig
from lib.config.document import Value, read_document
from lib.config.loading import validate
from lib.config.overrides import apply_overrides, assignment
from lib.errors import ConfigError


@dataclass(frozen=True)
class Point:
    """One training of a sweep.

    Attributes:
        index: Position in the sweep, from 0.
        settings: What it differs in from the base, by ``section.key``.
    """

    index: int
    settings: Mapping[SettingKey, Setting]

    def assignments(self) -> list[str]:
        """Return the settings as texts for ``--set``."""
        return [assignment(key, _as_value(value)) for key, value in self.settings.items()]


def expand(sweep: SweepConfig) -> list[Point]:
    """Return all points of a sweep in their order; none for a study, whose points are proposed one by one.

    Raises:
        ConfigError: If there are too many.
    """
    points = [
        Point(index, {**sweep.fixed, **settings})
        for index, settings in enumerate(itertools.islice(_settings(sweep), MAX_POINTS + 1))
    ]
    if len(points) > MAX_POINTS:
        raise ConfigError(f"sweep {sweep.name}: more than {MAX_POINTS} points; make the grid smaller.")
    return points


def _settings(sweep: SweepConfig) -> Iterator[dict[SettingKey, Setting]]:
    if sweep.grid is not None:
        for values in itertools.product(*sweep.grid.values()):
            yield dict(zip(sweep.grid, values, strict=True))
    elif sweep.points is not None:
        yield from sweep.points
    elif sweep.random is not None:
        generator = random.Random(sweep.random.seed)
        for _ in range(sweep.random.trials):
            yield draw(sweep.random.space, generator)


def draw(space: Space, generator: random.Random) -> dict[SettingKey, Setting]:
    """Return settings drawn from a space, each independently."""
    return {key: _draw_one(where, generator) for key, where in space.items()}


def _draw_one(where: Interval | Choice, generator: random.Random) -> Setting:
    if isinstance(where, Choice):
        return generator.choice(where.choice)
    if where.integer and not where.log:
        return generator.randint(int(where.low), int(where.high))
    low, high = (math.log(where.low), math.log(where.high)) if where.log else (where.low, where.high)
    drawn = generator.uniform(low, high)
    value = min(max(math.exp(drawn), where.low), where.high) if where.log else drawn
    return round(value) if where.integer else value


def require_valid(sweep: SweepConfig, points: list[Point]) -> None:
    """Check the configuration of every point, so that no job finds a mistake hours later.

    Raises:
        ConfigError: With the first faulty point and every fault in it.
    """
    base = read_document(sweep.base)
    for point in points:
        document = replace(base, source=f"{base.source}, point {point.index} of sweep {sweep.name}")
        validate(SCHEMAS[sweep.kind], apply_overrides(document, point.assignments()))


def run_name(sweep: SweepConfig, index: int) -> str:
    """Return the name of the run of a point."""
    return f"{sweep.name}_{index:04d}"


def _as_value(setting: Setting) -> Value:
    return list(setting) if isinstance(setting, list) else setting
