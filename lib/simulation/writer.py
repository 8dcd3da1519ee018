"""Simulated events as ROOT files that appear whole or not at all."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import uproot

from lib.atomic import atomic_path
from lib.data.branches import TREE_NAME
from lib.errors import UserError
from lib.simulation.config import SimulationConfig
from lib.simulation.events import BLOCK_EVENTS, Columns, EventSimulator, branch_types

CompressionName: TypeAlias = Literal["lz4", "zstd", "zlib", "lzma", "none"]

# The levels are those that ROOT itself uses by default, where the codec has a range.
COMPRESSIONS: Final[dict[CompressionName, uproot.compression.Compression | None]] = {
    "lz4": uproot.LZ4(4),
    "zstd": uproot.ZSTD(5),
    "zlib": uproot.ZLIB(1),
    "lzma": uproot.LZMA(1),
    "none": None,
}

# Object of each file that says how its events were made, as JSON.
SETTINGS_OBJECT: Final = "simulation"
_MODEL_VERSION = 1


class OutputError(UserError):
    """A file of the output folder cannot be written, or holds other events than are asked for."""


@dataclass(frozen=True)
class FileTask:
    """One file to be written.

    Attributes:
        path: Final place.
        config: What is simulated.
        seed: Chooses the events.
        run: Run number.
        first_event: Number of the first event.
        num_events: Events of the file.
        compression: Codec.
    """

    path: Path
    config: SimulationConfig
    seed: int
    run: int
    first_event: int
    num_events: int
    compression: CompressionName

    def settings(self) -> str:
        """Return everything that the events depend on as JSON; equal texts mean equal events."""
        values = {
            "model_version": _MODEL_VERSION,
            "seed": self.seed,
            "run": self.run,
            "first_event": self.first_event,
            "num_events": self.num_events,
            "config": self.config.model_dump(mode="json"),
        }
        return json.dumps(values, sort_keys=True)

    def is_done(self) -> bool:
        """Return True if the file exists with these very events.

        Raises:
            OutputError: If the file exists but is something else.
        """
        if not self.path.exists():
            return False
        found = read_settings(self.path)
        if found != self.settings():
            raise OutputError(
                f"{self.path}: this file was simulated with other settings ({_difference(found, self.settings())}). "
                "Choose another --output or --run, or remove the file."
            )
        return True


def read_settings(path: Path) -> str:
    """Return the settings that a simulated file carries.

    Raises:
        OutputError: If the file cannot be read or was not made by the simulation.
    """
    try:
        with uproot.open(path) as file:
            return str(file[SETTINGS_OBJECT])
    except (OSError, ValueError, uproot.KeyInFileError, uproot.DeserializationError) as error:
        raise OutputError(f"{path}: not a file of the simulation ({error}). Choose another --output.") from error


def _difference(found: str, wanted: str) -> str:
    """Describe the settings that differ."""
    old, new = _flat(json.loads(found)), _flat(json.loads(wanted))
    changed = [key for key in sorted(old | new) if old.get(key) != new.get(key)]
    return "; ".join(f"{key}: {old.get(key)} there, {new.get(key)} now" for key in changed[:6])


def _flat(values: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def write_file(task: FileTask) -> Iterator[int]:
    """Simulate and write one file.

    Args:
        task: What to write.

    Yields:
        Events written, after each block.

    Raises:
        OutputError: If the file cannot be written.
    """
    simulator = EventSimulator(task.config, task.seed, task.run)
    try:
        with (
            atomic_path(task.path) as temporary,
            uproot.recreate(temporary, compression=COMPRESSIONS[task.compression]) as file,
        ):
            tree = file.mktree(TREE_NAME, branch_types(task.config))
            for columns in _blocks(simulator, task.first_event, task.num_events):
                tree.extend(columns)
                yield len(columns["event"])
            file[SETTINGS_OBJECT] = task.settings()
    except OSError as error:
        raise OutputError(f"{task.path}: cannot be written ({error}).") from error


def _blocks(simulator: EventSimulator, first: int, count: int) -> Iterator[Columns]:
    """Yield the branches of the events from ``first`` to ``first + count``, block by block."""
    for block in range(first // BLOCK_EVENTS, -(-(first + count) // BLOCK_EVENTS)):
        start = max(first - block * BLOCK_EVENTS, 0)
        end = min(first + count - block * BLOCK_EVENTS, BLOCK_EVENTS)
        yield {name: values[start:end] for name, values in simulator.block(block).items()}
