"""Light of shallow deposits on the MPPCs just below them, by the exact solid angle of the chips."""

from dataclasses import dataclass

import numpy as np

from lib.geometry.coordinates import xyz_to_uvw
from lib.geometry.sensors import (
    MPPC_CHIP_GAP,
    MPPC_CHIP_WIDTH,
    NUM_MPPC,
    FloatArray,
    IndexArray,
    SensorTable,
)
from lib.geometry.solid_angle import rectangle_solid_angle
from lib.simulation.inner_face import patch_ids
from lib.simulation.particles import Float32Array
from lib.simulation.response import angular_response

_DEPTH = 2.5  # cm; below it the expansion of the solid angle is good to 1 %
_HALF_WIDTH = 2  # sensors to each side
_CHIP_OFFSET = np.float32(0.5 * (MPPC_CHIP_GAP + MPPC_CHIP_WIDTH))
_CHIP_HALF = np.float32(0.5 * MPPC_CHIP_WIDTH)
_MIN_HEIGHT = np.float32(1e-3)  # cm


@dataclass(frozen=True)
class NearLight:
    """Light of shallow sources on the sensors next to them.

    Attributes:
        source: Index of each shallow source, ascending, shape (n,).
        sensor_ids: Its patch of sensors, shape (n, 25).
        share: Share of its light that each accepts, shape (n, 25).
    """

    source: IndexArray
    sensor_ids: IndexArray
    share: Float32Array


class MppcSurfaces:
    """Where the MPPCs are and how they are turned, for sources close to them.

    Args:
        sensors: The detector.
        attenuation: Inverse length at which direct light is lost, 1/cm.
    """

    def __init__(self, sensors: SensorTable, attenuation: np.float32) -> None:
        normals = sensors.normals[:NUM_MPPC]
        along_beam = np.array([0.0, 0.0, 1.0]) - normals * normals[:, 2:]
        along_beam /= np.linalg.norm(along_beam, axis=1, keepdims=True)
        self._positions = sensors.positions[:NUM_MPPC]
        self._frames = np.stack([along_beam, np.cross(normals, along_beam), normals], axis=1)
        self._attenuation = attenuation

    def near_light(self, position: FloatArray) -> NearLight:
        """Return the light of those sources that are shallow.

        Args:
            position: Of all sources, cm, shape (n, 3).
        """
        shallow = np.flatnonzero(xyz_to_uvw(position)[:, 2] < _DEPTH)
        ids = patch_ids(position[shallow], _HALF_WIDTH)
        offset = position[shallow, None] - self._positions[ids]
        local = np.einsum("skij,skj->isk", self._frames[ids], offset, optimize=True).astype(np.float32)
        return NearLight(shallow, ids, self._share(*local))

    def _share(self, x: Float32Array, y: Float32Array, height: Float32Array) -> Float32Array:
        """Return the accepted share of the light of sources at (x, y, height) over the centre of their sensor."""
        safe = np.maximum(height, _MIN_HEIGHT)
        total = np.zeros_like(x)
        for chip_x in (-_CHIP_OFFSET, _CHIP_OFFSET):
            for chip_y in (-_CHIP_OFFSET, _CHIP_OFFSET):
                dx, dy = chip_x - x, chip_y - y
                solid_angle = rectangle_solid_angle(
                    dx - _CHIP_HALF, dx + _CHIP_HALF, dy - _CHIP_HALF, dy + _CHIP_HALF, safe
                )
                distance = np.sqrt(dx * dx + dy * dy + safe * safe)
                total += solid_angle * angular_response(safe / distance) * np.exp(-self._attenuation * distance)
        # A source behind a displaced sensor does not shine on its face.
        return np.where(height > 0, total * np.float32(1 / (4 * np.pi)), np.float32(0))
