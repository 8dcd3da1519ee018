"""How much of the light of a point source a sensor sees, beyond a few centimetres."""

from dataclasses import dataclass

import numpy as np

from lib.geometry.sensors import MPPC_CHIP_GAP, MPPC_CHIP_WIDTH, PMT_RADIUS, FloatArray, IndexArray, SensorTable
from lib.simulation.config import XenonConfig
from lib.simulation.particles import Float32Array

MPPC_AREA = 4 * MPPC_CHIP_WIDTH**2
PMT_AREA = np.pi * PMT_RADIUS**2

# Mean square of a coordinate on the sensitive surface, cm^2: its size to second order.
_MPPC_SPREAD = (0.5 * (MPPC_CHIP_WIDTH + MPPC_CHIP_GAP)) ** 2 + MPPC_CHIP_WIDTH**2 / 12
_PMT_SPREAD = PMT_RADIUS**2 / 4

# Angular response min(1, 0.55 + 0.75 cos): reflection at a window grows towards grazing incidence.
_RESPONSE_GRAZING, _RESPONSE_SLOPE = np.float32(0.55), np.float32(0.75)

# Sums of products keep more digits when coordinates are counted from the middle of the xenon.
_MIDDLE = np.array([-85.0, 0.0, 0.0])


def angular_response(cosine: Float32Array) -> Float32Array:
    """Return the share of the light that a sensor accepts at this cosine of the angle of incidence."""
    return np.minimum(1, _RESPONSE_GRAZING + _RESPONSE_SLOPE * cosine)


def attenuation_rate(xenon: XenonConfig) -> np.float32:
    """Return the inverse length in 1/cm at which direct light is lost to absorption and Rayleigh scattering."""
    return np.float32(1 / xenon.absorption_length + 1 / xenon.rayleigh_length)


@dataclass(frozen=True)
class SensorResponse:
    """Direct light of point sources on some sensors, with the sensor's size to second order.

    Attributes:
        squared_distance: Coefficients whose product with ``(x, y, z, 1, x^2 + y^2 + z^2)`` is the squared distance,
            shape (5, sensors).
        height: Coefficients of the height above the sensor's plane, shape (5, sensors).
        area_share: Sensitive area over 4 pi, cm^2, shape (sensors,).
        spread: Mean square extent, cm^2, shape (sensors,).
        attenuation: 1/cm.
    """

    squared_distance: Float32Array
    height: Float32Array
    area_share: Float32Array
    spread: Float32Array
    attenuation: np.float32

    def select(self, sensors: IndexArray | slice) -> "SensorResponse":
        """Return the response of a part of the sensors."""
        return SensorResponse(
            np.ascontiguousarray(self.squared_distance[:, sensors]),
            np.ascontiguousarray(self.height[:, sensors]),
            self.area_share[sensors],
            self.spread[sensors],
            self.attenuation,
        )

    def point(self, features: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Return response and distance for sensors taken as points.

        Args:
            features: From ``source_features``, shape (n, 5).

        Returns:
            Share of a source's light that is accepted, divided by the sensor's area share (1/cm^2), and distance in
            cm, each of shape (n, sensors).
        """
        square, distance, cosine = self._geometry(features)
        # (0.55 + 0.75 c) c / d^2 exp(-d / length), in few passes over memory: this is where the time goes.
        response = cosine * _RESPONSE_SLOPE
        response += _RESPONSE_GRAZING
        np.minimum(response, 1, out=response)
        response *= cosine
        response /= square
        np.multiply(distance, -self.attenuation, out=square)
        np.exp(square, out=square)
        response *= square
        return response, distance

    def extended(self, features: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Return what ``point`` does, corrected for the sensor's size to second order in size over distance.

        Source: Taylor expansion of h / d^3 over the surface, whose second moments are ``spread`` along both sides.
        """
        response, distance = self.point(features)
        _, _, cosine = self._geometry(features)
        change = self.spread / (distance * distance) * (np.float32(4.5) - np.float32(7.5) * cosine * cosine)
        # Where the sensor is so near that the series ends badly, this form of it stays within a few percent.
        response *= np.where(change > 0, 1 + change, 1 / (1 - change))
        return response, distance

    def _geometry(self, features: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
        square = features @ self.squared_distance
        np.maximum(square, np.float32(0.05), out=square)
        distance = np.sqrt(square)
        cosine = features @ self.height
        np.maximum(cosine, 0, out=cosine)
        cosine /= distance
        return square, distance, cosine


def build_response(sensors: SensorTable, xenon: XenonConfig) -> SensorResponse:
    """Return the response of all sensors of a detector."""
    position, normal = sensors.positions - _MIDDLE, sensors.normals
    ones, zeros = np.ones(len(position)), np.zeros(len(position))
    is_mppc = sensors.is_mppc
    return SensorResponse(
        np.stack([*(-2 * position.T), np.sum(position**2, axis=1), ones]).astype(np.float32),
        np.stack([*normal.T, -np.sum(position * normal, axis=1), zeros]).astype(np.float32),
        (np.where(is_mppc, MPPC_AREA, PMT_AREA) / (4 * np.pi)).astype(np.float32),
        np.where(is_mppc, _MPPC_SPREAD, _PMT_SPREAD).astype(np.float32),
        attenuation_rate(xenon),
    )


def source_features(position: FloatArray) -> Float32Array:
    """Return ``(x, y, z, 1, x^2 + y^2 + z^2)`` of positions in cm, shape (n, 5), for positions of shape (n, 3)."""
    centred = position - _MIDDLE
    return np.column_stack([centred, np.ones(len(centred)), np.sum(centred**2, axis=1)]).astype(np.float32)
