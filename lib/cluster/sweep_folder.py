"""A sweep on disk: its definition, frozen when it starts, and the state of each of its points."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from lib.atomic import atomic_path
from lib.cluster.expansion import Point, expand, require_valid
from lib.cluster.sweep_config import SweepConfig
from lib.config.document import Document
from lib.config.flat import differences
from lib.config.loading import validate
from lib.errors import ConfigError
from lib.training.saving.folder_lock import FolderLock, is_held

SWEEP_NAME = "sweep.json"
STATE_NAME = "state.json"

State = Literal["waiting", "running", "stopped", "finished", "failed"]


@dataclass(frozen=True)
class PointState:
    """How far a point is.

    Attributes:
        state: waiting, running, stopped (saved, wants to go on), finished or failed.
        attempts: How often it was started.
        exit_code: Of the last attempt that ended.
        job: Batch job that it was last submitted in.
    """

    state: State = "waiting"
    attempts: int = 0
    exit_code: int | None = None
    job: str | None = None


class SweepFolder:
    """Keeps a sweep.

    Attributes:
        folder: Its folder, in which every run has its own.
        sweep: Its definition.
        points: Its points; for a study, one per worker, without settings.
    """

    def __init__(self, folder: Path, sweep: SweepConfig, points: Sequence[Point]) -> None:
        self.folder = folder
        self.sweep = sweep
        self.points = points

    @classmethod
    def create(cls, sweep: SweepConfig, save_dir: Path, *, dry: bool = False) -> "SweepFolder":
        """Freeze a sweep on disk, or open it if it is there already.

        Args:
            sweep: Its definition.
            save_dir: In which sweeps have their folders.
            dry: Whether only to check, and to write nothing.

        Raises:
            ConfigError: If a point is faulty, or if another sweep of that name is there.
        """
        folder = save_dir / sweep.name
        points = _points(sweep)
        if (folder / SWEEP_NAME).exists():
            before = cls.open(folder)
            changed = differences(before.sweep.model_dump(mode="json"), sweep.model_dump(mode="json"))
            if changed:
                raise ConfigError(
                    "\n  ".join([f"{folder}: a sweep of this name was started with other settings:", *changed])
                    + "\nGive this one another name."
                )
            return before
        require_valid(sweep, points)
        if dry:
            return cls(folder, sweep, points)
        with atomic_path(folder / SWEEP_NAME) as path:
            path.write_text(json.dumps(sweep.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
        return cls(folder, sweep, points)

    @classmethod
    def open(cls, folder: Path) -> "SweepFolder":
        """Return a sweep that was started.

        Raises:
            ConfigError: If the folder holds none.
        """
        path = folder / SWEEP_NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: holds no sweep ({error}). Give the folder of a sweep.") from error
        given = {key: value for key, value in content.items() if value is not None}
        sweep = validate(SweepConfig, Document(str(path), given, {}))
        return cls(folder, sweep, _points(sweep))

    def point(self, index: int) -> Point:
        """Return a point; raises ``ConfigError`` if there is none of that number."""
        if not 0 <= index < len(self.points):
            raise ConfigError(f"{self.folder}: there is no point {index}; expected 0 to {len(self.points) - 1}.")
        return self.points[index]

    def state(self, index: int) -> PointState:
        """Return how far a point is; one that claims to run but has no process is stopped."""
        place = self._place(index)
        try:
            state = PointState(**json.loads((place / STATE_NAME).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return PointState()
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{place / STATE_NAME}: damaged ({error}). Remove it to start the point anew.") from error
        return replace(state, state="stopped") if state.state == "running" and not is_held(place) else state

    def write_state(self, index: int, state: PointState) -> None:
        """Note how far a point is."""
        with atomic_path(self._place(index) / STATE_NAME) as path:
            path.write_text(json.dumps(asdict(state)) + "\n", encoding="utf-8")

    @contextmanager
    def claimed(self, index: int) -> Iterator[None]:
        """Keep other processes from the point during the block.

        Raises:
            ConfigError: If another process works on it.
        """
        self._place(index).mkdir(parents=True, exist_ok=True)
        lock = FolderLock(self._place(index))
        try:
            yield
        finally:
            lock.release()

    def _place(self, index: int) -> Path:
        return self.folder / "points" / f"{index:04d}"


def _points(sweep: SweepConfig) -> list[Point]:
    if sweep.optuna is not None:
        return [Point(index, sweep.fixed) for index in range(sweep.optuna.workers)]
    return expand(sweep)
