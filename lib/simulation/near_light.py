"""Light of shallow deposits on the MPPCs just below them, by the exact solid angle of the chips."""

from dataclasses import dataclass

import numpy as np

from lib.geometry.coordinates import xyz_to_uvw
from lib.geometry.sensors import MPPC_CHIP_GAP, MPPC_CHIP_WIDTH, NUM_MPPC, FloatArray, IndexArray, SensorTable
from lib.geometry.solid_angle import rectangle_solid_angle
from lib.simulation.inner_face import patch_ids
from lib.simulation.kernels import LightConstants, point_response
from lib.simulation.optics import angular_response, receiver_rows
from lib.simulation.particles import Float32Array

_DEPTH = 2.5  # cm; below it the expansion of the solid angle is good to 1 %
_HALF_WIDTH = 2  # sensors to each side
_CHIP_OFFSET = np.float32(0.5 * (MPPC_CHIP_GAP + MPPC_CHIP_WIDTH))
_CHIP_HALF = np.float32(0.5 * MPPC_CHIP_WIDTH)
_MIN_HEIGHT = np.float32(1e-3)  # cm


@dataclass(frozen=True)
class NearLight:
    """What the expansion of the solid angle misses, for shallow sources and the sensors next to them.

    Attributes:
        source: Index of each shallow source, ascending, shape (n,).
        sensor_ids: Its patch of sensors, shape (n, 25).
        missing: Exact share of its light less that of the expansion, shape (n, 25).
        distance: From the source to the sensor's centre, cm, shape (n, 25).
    """

    source: IndexArray
    sensor_ids: IndexArray
    missing: Float32Array
    distance: Float32Array


class NearField:
    """The MPPCs' places and orientations, for sources close to them.

    Args:
        sensors: The detector.
        constants: The light's way to a sensor.
    """

    def __init__(self, sensors: SensorTable, constants: LightConstants) -> None:
        normals = sensors.normals[:NUM_MPPC]
        along_beam = np.array([0.0, 0.0, 1.0]) - normals * normals[:, 2:]
        along_beam /= np.linalg.norm(along_beam, axis=1, keepdims=True)
        frames = np.stack([along_beam, np.cross(normals, along_beam), normals])
        self._frames = np.ascontiguousarray(frames.transpose(0, 2, 1), dtype=np.float32)  # (axis, xyz, sensor)
        self._receivers = receiver_rows(sensors)[:, :NUM_MPPC]
        self._constants = constants

    def correct(self, position: FloatArray) -> NearLight:
        """Return the corrections for those sources that are shallow.

        Args:
            position: Of all sources, cm, shape (n, 3).
        """
        shallow = np.flatnonzero(xyz_to_uvw(position)[:, 2] < _DEPTH)
        ids = patch_ids(position[shallow], _HALF_WIDTH)
        receivers = self._receivers[:, ids]
        offset = position[shallow].T.astype(np.float32)[:, :, None] - receivers[:3]
        x, y, height = (np.sum(offset * axis[:, ids], axis=0) for axis in self._frames)
        expanded, distance = point_response(offset, receivers, self._constants)
        return NearLight(shallow, ids, self.exact_share(x, y, height) - expanded, distance)

    def exact_share(self, x: Float32Array, y: Float32Array, height: Float32Array) -> Float32Array:
        """Return the accepted share of the light of sources above an MPPC, chip by chip.

        Args:
            x: Along the beam, from the sensor's centre, cm, any shape.
            y: Along the other side.
            height: Above the surface; a source behind a displaced sensor does not shine on its face.
        """
        safe = np.maximum(height, _MIN_HEIGHT)
        attenuation = np.float32(self._constants.attenuation)
        total = np.zeros_like(x)
        for chip_x in (-_CHIP_OFFSET, _CHIP_OFFSET):
            for chip_y in (-_CHIP_OFFSET, _CHIP_OFFSET):
                dx, dy = chip_x - x, chip_y - y
                solid_angle = rectangle_solid_angle(
                    dx - _CHIP_HALF, dx + _CHIP_HALF, dy - _CHIP_HALF, dy + _CHIP_HALF, safe
                )
                distance = np.sqrt(dx * dx + dy * dy + safe * safe)
                total += solid_angle * angular_response(safe / distance) * np.exp(-attenuation * distance)
        return np.where(height > 0, total * np.float32(1 / (4 * np.pi)), np.float32(0))
