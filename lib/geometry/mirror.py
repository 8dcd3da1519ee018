"""Mirror images of the detector: which sensor takes the place of which."""

from functools import cache
from typing import Final, Literal, TypeAlias

import numpy as np

from lib.errors import GeometryError
from lib.geometry.sensors import IndexArray, SensorTable, nominal_sensors

Mirror: TypeAlias = Literal["z", "phi"]

# The beam axis is z; phi changes its sign with y.
_FLIPPED_AXIS: Final[dict[Mirror, int]] = {"z": 2, "phi": 1}
# Lattice constants are rounded to a tenth of a micrometre.
_TOLERANCE_CM: Final = 1e-6


@cache
def nominal_mirror(mirror: Mirror) -> IndexArray:
    """Return the sensor that stands at the mirrored position of each sensor of the nominal detector, shape (4760,)."""
    found = mirrored_sensors(nominal_sensors(), mirror)
    found.setflags(write=False)
    return found


def mirrored_sensors(table: SensorTable, mirror: Mirror) -> IndexArray:
    """Return the sensor that stands at the mirrored position of each sensor, shape (4760,).

    Args:
        table: The detector.
        mirror: z swaps upstream and downstream, phi swaps top and bottom.

    Raises:
        GeometryError: If the detector is not its own mirror image, as a surveyed one never is.
    """
    image = table.positions.copy()
    image[:, _FLIPPED_AXIS[mirror]] *= -1.0
    # Sorting by rounded coordinates brings each position and its image to the same place.
    order, image_order = (_lexicographic(positions) for positions in (table.positions, image))
    partner = np.empty(len(order), dtype=np.int64)
    partner[image_order] = order
    distance = np.linalg.norm(table.positions[partner] - image, axis=1)
    worst = int(np.argmax(distance))
    if distance[worst] > _TOLERANCE_CM:
        raise GeometryError(
            f"sensor {worst} has no partner under a reflection of {mirror}: the nearest candidate, sensor "
            f"{partner[worst]}, lies {distance[worst]:.2g} cm from its image. Only the nominal detector is symmetric."
        )
    return partner


def _lexicographic(positions: np.ndarray) -> IndexArray:
    # Adding zero turns -0 into 0, which would sort apart.
    rounded = np.round(positions, 5) + 0.0
    return np.lexsort(rounded.T)
