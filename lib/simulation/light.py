"""The light that an event brings to every sensor: how much, and when."""

from dataclasses import dataclass

import numpy as np

from lib.geometry.sensors import FloatArray, IndexArray, SensorTable
from lib.simulation.config import XenonConfig
from lib.simulation.kernels import Kernels
from lib.simulation.near_light import NearField
from lib.simulation.optics import light_constants, receiver_rows
from lib.simulation.particles import Float32Array
from lib.simulation.voxels import Sources


@dataclass(frozen=True)
class Light:
    """Light on the sensors.

    Attributes:
        photons: Expected photons on each sensor, shape (n, 4760).
        arrival: Mean time at which the direct light arrives, ns, shape (n, 4760); 0 where there is none.
    """

    photons: Float32Array
    arrival: Float32Array

    def pick(self, events: IndexArray) -> "Light":
        """Return the light of some events."""
        return Light(self.photons[events], self.arrival[events])


class LightModel:
    """Light transport in the xenon.

    Direct light goes by solid angle, angular response and attenuation: on the MPPCs next to a shallow source by the
    exact solid angle of their chips, everywhere else by its expansion to second order. What is not seen directly
    comes in part by reflection and scattering, spread over the detector around the centre of the light.

    Args:
        sensors: The detector.
        xenon: The material.
        kernels: Loops to work with.

    Attributes:
        constants: The light's way to a sensor.
    """

    def __init__(self, sensors: SensorTable, xenon: XenonConfig, kernels: Kernels) -> None:
        self._xenon = xenon
        self.constants = light_constants(xenon)
        self._receivers = receiver_rows(sensors)
        self._near_field = NearField(sensors, self.constants)
        self._kernels = kernels
        # With (x, y, z, 1, x^2 + y^2 + z^2) of a point these give its squared distances from the sensors.
        positions = sensors.positions
        ones = np.ones(len(positions))
        self._to_squares = np.stack([*(-2 * positions.T), np.sum(positions**2, axis=1), ones])

    def expected(self, sources: Sources) -> Light:
        """Return the light of events from their sources."""
        photons, moments = self.direct(sources)
        arrival = np.divide(moments, photons, out=moments, where=photons > 0)
        photons += self._diffuse(photons, sources)
        return Light(photons, arrival)

    def direct(self, sources: Sources) -> tuple[Float32Array, Float32Array]:
        """Return the direct light: photons, and photons times arrival time in ns, each of shape (n, 4760)."""
        amount = sources.energy * self._xenon.photons_per_mev
        rows = np.stack([*sources.position.T, amount, sources.time]).astype(np.float32)
        photons, moments = self._kernels.direct_light(self._receivers, rows, sources.bounds, self.constants)
        near = self._near_field.correct(sources.position)
        place = (sources.event[near.source, None], near.sensor_ids)
        missing = near.missing * rows[3, near.source, None]
        np.add.at(photons, place, missing)
        time = rows[4, near.source, None] + np.float32(self.constants.slowness) * near.distance
        np.add.at(moments, place, missing * time)
        # Rounding may leave a trace of darkness below a source that touches a sensor.
        np.maximum(photons, 0, out=photons)
        return photons, moments

    def _diffuse(self, direct: Float32Array, sources: Sources) -> Float32Array:
        """Return the light that comes by reflection and scattering, shape (n, 4760)."""
        kernel = self._squared_distances(sources.centre())
        kernel += np.float32(self._xenon.diffuse_range**2)
        np.divide(self._receivers[7], kernel, out=kernel)
        unseen = sources.energy_per_event() * self._xenon.photons_per_mev - direct.sum(axis=1)
        amount = self._xenon.diffuse_fraction * np.maximum(unseen, 0) / kernel.sum(axis=1)
        kernel *= amount.astype(np.float32)[:, None]
        return kernel

    def _squared_distances(self, points: FloatArray) -> Float32Array:
        """Return the squared distances of points in cm from all sensors, shape (n, 4760)."""
        features = np.column_stack([points, np.ones(len(points)), np.sum(points**2, axis=1)])
        return (features @ self._to_squares).astype(np.float32)
