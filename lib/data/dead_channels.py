"""Lists of dead channels."""

from pathlib import Path

import torch
from torch import Tensor

from lib.errors import DataError
from lib.geometry.sensors import NUM_SENSORS


def read_dead_channels(path: Path) -> Tensor:
    """Return which channels a text file names, shape (4760,), bool.

    Sensor ids are separated by blanks, commas or line ends; ``#`` starts a comment.

    Raises:
        DataError: If the file cannot be read or names something that is no sensor.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a list of sensor ids ({error}).") from error
    words = [word for line in lines for word in line.partition("#")[0].replace(",", " ").split()]
    dead = torch.zeros(NUM_SENSORS, dtype=torch.bool)
    for word in words:
        if not word.isdecimal() or int(word) >= NUM_SENSORS:
            raise DataError(f"{path}: {word!r} is no sensor id; expected whole numbers from 0 to {NUM_SENSORS - 1}.")
        dead[int(word)] = True
    return dead
