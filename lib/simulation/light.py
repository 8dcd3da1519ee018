"""The light that an event brings to every sensor: how much, and when."""

from dataclasses import dataclass

import numpy as np

from lib.geometry.sensors import NUM_MPPC, NUM_SENSORS, FloatArray, IndexArray, SensorTable
from lib.simulation.config import XenonConfig
from lib.simulation.inner_face import patch_ids
from lib.simulation.near_light import MppcSurfaces, NearLight
from lib.simulation.particles import SPEED_OF_LIGHT, Float32Array
from lib.simulation.response import build_response, source_features
from lib.simulation.voxels import COARSE_CELL, Sources, coarsen

# MPPCs around the centre of the light that see its fine structure, to each side: 12 cm.
_WINDOW_HALF = 8
_MPPCS, _PMTS = slice(0, NUM_MPPC), slice(NUM_MPPC, NUM_SENSORS)


@dataclass(frozen=True)
class Light:
    """Light on the sensors.

    Attributes:
        photons: Expected photons on each sensor, shape (n, 4760).
        arrival: Mean time at which the direct light arrives, ns, shape (n, 4760).
    """

    photons: Float32Array
    arrival: Float32Array

    def pick(self, events: IndexArray) -> "Light":
        """Return the light of some events."""
        return Light(self.photons[events], self.arrival[events])


class LightModel:
    """Light transport in the xenon.

    Direct light goes by solid angle, angular response and attenuation. What is not seen directly comes in part by
    reflection and scattering, spread over the detector around the centre of the light. Far sensors see sources
    merged in coarse cells; the MPPCs in a window around the light, and those next to any shallow source, see fine
    ones, the latter by the exact solid angle of their chips.

    Args:
        sensors: The detector.
        xenon: The material.
    """

    def __init__(self, sensors: SensorTable, xenon: XenonConfig) -> None:
        self._xenon = xenon
        self._all = build_response(sensors, xenon)
        self._mppcs = self._all.select(_MPPCS)
        self._pmts = self._all.select(_PMTS)
        self._surfaces = MppcSurfaces(sensors, self._all.attenuation)
        self._slowness = np.float32(xenon.group_index) / SPEED_OF_LIGHT

    def expected(self, sources: Sources) -> Light:
        """Return the light of events from their sources in fine cells."""
        photons = np.empty((sources.num_events, NUM_SENSORS), dtype=np.float32)
        moments = np.empty_like(photons)
        centre = sources.centre()
        self._add_far(photons, moments, coarsen(sources, COARSE_CELL))
        self._replace_window(photons, moments, sources, centre)
        photons *= self._all.area_share
        moments *= self._all.area_share
        arrival = np.divide(moments, photons, out=moments, where=photons > 0)
        photons += self._diffuse(photons, sources, centre)
        return Light(photons, arrival)

    def _add_far(self, photons: Float32Array, moments: Float32Array, sources: Sources) -> None:
        """Fill in, for all sensors, photons and photons times arrival time in ns, both per area share."""
        features, weights = source_features(sources.position), self._weights(sources)
        for event in range(sources.num_events):
            own = slice(sources.bounds[event], sources.bounds[event + 1])
            for part, seen in (
                (_MPPCS, self._mppcs.point(features[own])),
                (_PMTS, self._pmts.extended(features[own])),
            ):
                photons[event, part], moments[event, part] = self._sum(weights[:, own], *seen)

    def _replace_window(
        self, photons: Float32Array, moments: Float32Array, sources: Sources, centre: FloatArray
    ) -> None:
        """Replace the light on the MPPCs near the sources by that of the fine cells."""
        features, weights = source_features(sources.position), self._weights(sources)
        near = self._surfaces.near_light(sources.position)
        near_bounds = np.searchsorted(near.source, sources.bounds)
        windows = patch_ids(centre, _WINDOW_HALF)
        for event in range(sources.num_events):
            own = slice(sources.bounds[event], sources.bounds[event + 1])
            own_near = slice(near_bounds[event], near_bounds[event + 1])
            window = np.union1d(windows[event], near.sensor_ids[own_near])
            response, distance = self._all.select(window).extended(features[own])
            self._insert_near(response, near, own_near, window, own.start)
            photons[event, window], moments[event, window] = self._sum(weights[:, own], response, distance)

    def _insert_near(
        self, response: Float32Array, near: NearLight, own: slice, window: IndexArray, first_source: int
    ) -> None:
        """Write the exact response of shallow sources into that of the window."""
        columns = np.searchsorted(window, near.sensor_ids[own])
        rows = near.source[own, None] - first_source
        response[rows, columns] = near.share[own] / self._all.area_share[0]

    def _weights(self, sources: Sources) -> Float32Array:
        """Return photons, and photons times emission time, of each source, shape (2, n)."""
        photons = sources.energy * self._xenon.photons_per_mev
        return np.stack([photons, photons * sources.time]).astype(np.float32)

    def _sum(
        self, weights: Float32Array, response: Float32Array, distance: Float32Array
    ) -> tuple[Float32Array, Float32Array]:
        """Return photons and photons times arrival time of the sources together, each of shape (sensors,)."""
        photons, emitted = weights @ response
        response *= distance
        return photons, emitted + self._slowness * (weights[0] @ response)

    def _diffuse(self, direct: Float32Array, sources: Sources, centre: FloatArray) -> Float32Array:
        """Return the light that comes by reflection and scattering, shape (n, 4760)."""
        kernel = source_features(centre) @ self._all.squared_distance
        kernel += np.float32(self._xenon.diffuse_range**2)
        np.divide(self._all.area_share, kernel, out=kernel)
        unseen = sources.energy_per_event() * self._xenon.photons_per_mev - direct.sum(axis=1)
        amount = self._xenon.diffuse_fraction * np.maximum(unseen, 0) / kernel.sum(axis=1)
        kernel *= amount.astype(np.float32)[:, None]
        return kernel
