"""What the statistics of photons, and of the energy's containment, leave at best."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lib.errors import DataError

CONTAINMENT: Final = "containment.core_percent"
_OF_QUANTITY: Final = {
    "energy": "bound.energy_percent",
    "time": "bound.time_ps",
    "u": "bound.u_mm",
    "v": "bound.v_mm",
    "w": "bound.w_mm",
}


def quantity_bounds(rows: Mapping[str, float]) -> dict[str, float]:
    """Return the bound of the core of each quantity, in the unit of its residuals.

    Args:
        rows: Values of the rows of ``macro/estimate_bounds.py``, by name.

    Raises:
        KeyError: If one of them is missing.
    """
    found = {quantity: rows[name] for quantity, name in _OF_QUANTITY.items()}
    # Photons and what leaks out fluctuate independently.
    found["energy"] = (found["energy"] ** 2 + rows[CONTAINMENT] ** 2) ** 0.5
    return found


def read_bounds(path: Path) -> dict[str, float]:
    """Read what ``macro/estimate_bounds.py --json`` printed.

    Raises:
        DataError: If the file is something else.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return quantity_bounds({row["name"]: float(row["value"]) for row in rows})
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: not the bounds of a simulation ({type(error).__name__}: {error}). Write them with: "
            "python macro/estimate_bounds.py --json > bounds.jsonl"
        ) from error
