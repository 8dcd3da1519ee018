"""Positions, normals and faces of the 4760 sensors.

Lengths are cm, angles radians. The frame is right-handed with its origin at the target centre, z along the muon
beam and y up; the detector lies at x < 0. The azimuth is ``phi = atan2(y, -x)``.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.errors import GeometryError

NUM_SENSORS = 4760
NUM_MPPC = 4092

FACE_NAMES = ("inner", "outer", "us", "ds", "top", "bottom")
NUM_FACES = len(FACE_NAMES)

# Half-open ranges of sensor ids. The outer face has two: the coarse lattice and the extra sensors of its dense patch.
INNER_IDS = (0, 4092)
OUTER_COARSE_IDS = (4092, 4308)
US_IDS = (4308, 4452)
DS_IDS = (4452, 4596)
TOP_IDS = (4596, 4669)
BOTTOM_IDS = (4669, 4742)
OUTER_DENSE_IDS = (4742, 4760)

INNER_SHAPE = (93, 44)
OUTER_COARSE_SHAPE = (24, 9)
OUTER_DENSE_SHAPE = (6, 5)
SIDE_SHAPE = (24, 6)
STAGGERED_ROWS = (11, 12, 11, 12, 13, 14)

# Radii of the inner wall, of the MPPC surface 1.3 mm above it, and of the photocathodes of the outer face.
WALL_RADIUS = 64.84
REFERENCE_RADIUS = 64.97
OUTER_RADIUS = 106.27

PHI_SPAN = np.deg2rad(125.52)
INNER_PHI_PITCH = PHI_SPAN / 93
INNER_Z_PITCH = 1.5097721
COARSE_PHI_PITCH = PHI_SPAN / 24
COARSE_Z_PITCH = 10.356
DENSE_PHI_PITCH = PHI_SPAN / 36
DENSE_Z_PITCH = 6.20
SIDE_FIRST_RADIUS, SIDE_RADIUS_PITCH = 69.530, 6.684
SIDE_FIRST_Z, SIDE_Z_PITCH = 35.1547, 2.3369
STAGGERED_FIRST_RADIUS, STAGGERED_RADIUS_PITCH = 68.27, 6.91
STAGGERED_Z_PITCH = 6.12

# The side walls lean outwards: half the length grows from 33.515 cm at the inner wall.
WALL_HALF_LENGTH = 33.515
CONE_SLOPE = 0.34963

MPPC_CHIP_WIDTH = 0.59
MPPC_CHIP_GAP = 0.05
PMT_RADIUS = 2.25

FloatArray = NDArray[np.floating[Any]]
IndexArray = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class SensorTable:
    """Where every sensor is and where it looks.

    Attributes:
        positions: Centre of each sensitive surface in cm, shape (4760, 3).
        normals: Unit vector of each sensor into the xenon, shape (4760, 3).
        face_codes: Index into ``FACE_NAMES`` of each sensor, shape (4760,).
    """

    positions: FloatArray
    normals: FloatArray
    face_codes: IndexArray

    @property
    def is_mppc(self) -> NDArray[np.bool_]:
        """True for the MPPCs of the inner face, False for PMTs, shape (4760,)."""
        return np.arange(NUM_SENSORS) < NUM_MPPC


def cylindrical(radius: FloatArray, phi: FloatArray, z: FloatArray) -> FloatArray:
    """Convert cylindrical coordinates of the detector to Cartesian ones.

    Args:
        radius: Distance from the beam axis, any shape that broadcasts with the others.
        phi: Azimuth from -x towards +y.
        z: Coordinate along the beam.

    Returns:
        (x, y, z) on a new last axis.
    """
    radius, phi, z = np.broadcast_arrays(radius, phi, z)
    return np.stack([-radius * np.cos(phi), radius * np.sin(phi), z], axis=-1)


def coarse_ids() -> IndexArray:
    """Return the ids of the coarse lattice of the outer face, shape (24, 9): phi descending, z ascending."""
    return np.arange(*OUTER_COARSE_IDS).reshape(OUTER_COARSE_SHAPE)


def dense_ids() -> IndexArray:
    """Return the ids of the dense patch of the outer face, shape (6, 5): phi descending, z ascending.

    Twelve sensors carry ids of the coarse lattice although they sit on the dense one.
    """
    ids = np.full(OUTER_DENSE_SHAPE, -1)
    ids[np.ix_([0, 2, 3, 5], [0, 2, 4])] = coarse_ids()[10:14, 3:6]
    ids[ids < 0] = np.arange(*OUTER_DENSE_IDS)
    return ids


def staggered_ids(face: str) -> list[IndexArray]:
    """Return the ids of the top or bottom face, one array per row: rows by radius, within a row by z."""
    first = {"top": TOP_IDS, "bottom": BOTTOM_IDS}[face][0]
    ends = first + np.cumsum(STAGGERED_ROWS)
    return [np.arange(end - length, end) for end, length in zip(ends, STAGGERED_ROWS, strict=True)]


def _descending_phi(num_rows: int, pitch: float) -> FloatArray:
    return (0.5 * (num_rows - 1) - np.arange(num_rows)[:, None]) * pitch


def _ascending_z(num_columns: int, pitch: float) -> FloatArray:
    return (np.arange(num_columns)[None, :] - 0.5 * (num_columns - 1)) * pitch


def _place_barrel(
    table: SensorTable, ids: IndexArray, *, radius: float, phi_pitch: float, z_pitch: float, inward: float
) -> None:
    """Place a cylindrical face in the table; ``inward`` is +1 where the xenon lies outside the cylinder."""
    phi = _descending_phi(ids.shape[0], phi_pitch)
    z = _ascending_z(ids.shape[1], z_pitch)
    table.positions[ids] = cylindrical(np.asarray(radius), phi, z)
    table.normals[ids] = cylindrical(np.asarray(inward), phi, np.zeros_like(z))


def _place_side(table: SensorTable, ids: IndexArray, side: float) -> None:
    """Place a conical side wall in the table; ``side`` is the sign of its z."""
    phi = _descending_phi(SIDE_SHAPE[0], COARSE_PHI_PITCH)
    column = np.arange(SIDE_SHAPE[1])[None, :]
    radius = SIDE_FIRST_RADIUS + SIDE_RADIUS_PITCH * column
    z = side * (SIDE_FIRST_Z + SIDE_Z_PITCH * column)
    table.positions[ids] = cylindrical(radius, phi, z)
    cone_angle = np.arctan(CONE_SLOPE)
    table.normals[ids] = cylindrical(np.sin(cone_angle), phi, np.asarray(-side * np.cos(cone_angle)))


def _place_staggered(table: SensorTable, face: str, side: float) -> None:
    """Place the top or bottom face in the table; ``side`` is the sign of its phi."""
    for row, ids in enumerate(staggered_ids(face)):
        radius = np.asarray(STAGGERED_FIRST_RADIUS + STAGGERED_RADIUS_PITCH * row)
        z = _ascending_z(len(ids), STAGGERED_Z_PITCH)[0]
        table.positions[ids] = cylindrical(radius, np.asarray(side * 0.5 * PHI_SPAN), z)
        # The plane through the beam axis at phi has its normal along decreasing |phi|.
        table.normals[ids] = (-np.sin(0.5 * PHI_SPAN), -side * np.cos(0.5 * PHI_SPAN), 0.0)


def _face_codes() -> IndexArray:
    codes = np.empty(NUM_SENSORS, dtype=np.int64)
    ranges = [(INNER_IDS,), (OUTER_COARSE_IDS, OUTER_DENSE_IDS), (US_IDS,), (DS_IDS,), (TOP_IDS,), (BOTTOM_IDS,)]
    for code, spans in enumerate(ranges):
        for first, end in spans:
            codes[first:end] = code
    return codes


def _frozen(table: SensorTable) -> SensorTable:
    for array in (table.positions, table.normals, table.face_codes):
        array.setflags(write=False)
    return table


@cache
def nominal_sensors() -> SensorTable:
    """Return the nominal detector.

    Source: lattice constants fitted to the public nominal sensor table, which they meet within 0.005 mm.
    """
    table = SensorTable(np.empty((NUM_SENSORS, 3)), np.empty((NUM_SENSORS, 3)), _face_codes())
    inner = np.arange(*INNER_IDS).reshape(INNER_SHAPE)
    _place_barrel(table, inner, radius=REFERENCE_RADIUS, phi_pitch=INNER_PHI_PITCH, z_pitch=INNER_Z_PITCH, inward=1.0)
    _place_barrel(
        table, coarse_ids(), radius=OUTER_RADIUS, phi_pitch=COARSE_PHI_PITCH, z_pitch=COARSE_Z_PITCH, inward=-1.0
    )
    _place_barrel(
        table, dense_ids(), radius=OUTER_RADIUS, phi_pitch=DENSE_PHI_PITCH, z_pitch=DENSE_Z_PITCH, inward=-1.0
    )
    _place_side(table, np.arange(*US_IDS).reshape(SIDE_SHAPE), side=-1.0)
    _place_side(table, np.arange(*DS_IDS).reshape(SIDE_SHAPE), side=1.0)
    _place_staggered(table, "top", side=1.0)
    _place_staggered(table, "bottom", side=-1.0)
    return _frozen(table)


def load_sensors(path: Path) -> SensorTable:
    """Read a sensor table of the user's, such as a survey.

    Each line holds ``id x y z`` (cm), optionally followed by the inward normal ``nx ny nz``; ``#`` starts a
    comment. Where no normal is given, the nominal one is used.

    Args:
        path: The text file.

    Raises:
        GeometryError: If the file cannot be read, a sensor is missing or named twice, or a sensor lies more than
            5 cm from its nominal place or looks more than 30 degrees away from its nominal direction, which no
            survey finds and a wrong unit, frame or sign does.
    """
    rows = _read_rows(path)
    nominal = nominal_sensors()
    positions = rows[:, 1:4]
    distance = np.linalg.norm(positions - nominal.positions, axis=1)
    worst = int(np.argmax(distance))
    if not distance[worst] < 5.0:
        raise GeometryError(
            f"{path}: sensor {worst} lies {distance[worst]:.1f} cm from its nominal place "
            f"{nominal.positions[worst].round(2)}, got {positions[worst]}. Expected cm in the frame of the target."
        )
    normals = _read_normals(path, rows) if rows.shape[1] == 7 else nominal.normals.copy()
    return _frozen(SensorTable(positions.copy(), normals, nominal.face_codes.copy()))


def _read_normals(path: Path, rows: FloatArray) -> FloatArray:
    """Return the last three columns as unit vectors, shape (4760, 3), if they point into the xenon."""
    nominal = nominal_sensors().normals
    length = np.linalg.norm(rows[:, 4:7], axis=1, keepdims=True)
    normals = rows[:, 4:7] / np.where(length > 0, length, 1.0)
    cosine = np.sum(normals * nominal, axis=1)
    worst = int(np.argmin(cosine))
    if not cosine[worst] > np.cos(np.deg2rad(30.0)):
        raise GeometryError(
            f"{path}: sensor {worst} looks along {rows[worst, 4:7]}, expected about {nominal[worst].round(3)}: "
            "normals point into the xenon."
        )
    return normals


def _read_rows(path: Path) -> FloatArray:
    """Return the numbers of a sensor file in order of sensor id, shape (4760, 4 or 7)."""
    try:
        text = path.read_text(encoding="utf-8")
        rows = np.array([line.split() for row in text.splitlines() if (line := row.partition("#")[0].strip())], float)
    except (OSError, ValueError) as error:
        raise GeometryError(f"{path}: not a table of sensor positions ({error}). Expected 'id x y z' lines.") from error
    if rows.shape[1:] not in {(4,), (7,)}:
        found = rows.shape[1] if rows.ndim == 2 else 0
        raise GeometryError(f"{path}: expected 4 columns (id x y z) or 7 (with nx ny nz), got {found}.")
    order = np.argsort(rows[:, 0])
    if not np.array_equal(rows[order, 0], np.arange(NUM_SENSORS)):
        missing = np.setdiff1d(np.arange(NUM_SENSORS), rows[:, 0])
        raise GeometryError(
            f"{path}: expected each sensor id 0-{NUM_SENSORS - 1} once, got {len(rows)} lines; missing: {missing[:5]}."
        )
    return rows[order]
