"""The conventional reconstruction of photons: what a network has to beat.

Position from a local fit of one point source, corrected towards the first interaction; energy from the sums of the
faces with a map of position and sharing; time from the mean of the sensors. Each correction is a polynomial fitted to
a sample with truth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile

from lib.atomic import atomic_path
from lib.baselines.conventional_polynomial import Polynomial, fit_polynomial
from lib.baselines.conventional_sensors import face_sums, inner_image
from lib.baselines.position_fit import PointFit, fit_points
from lib.baselines.timing_mean import mean_time
from lib.data.branches import ENERGY, TIME_TRUTH, UVW
from lib.errors import DataError, nearest
from lib.geometry.coordinates import emission_angles, uvw_to_xyz
from lib.geometry.sensors import FloatArray

_CHUNK = 500
_MIN_EVENTS = 300
_DEGREE = 2
_NS_PER_SECOND = 1e9
_PARTS = ("position", "energy", "timing")


class Reconstructed(TypedDict):
    """Reconstructed quantities of n events.

    Attributes:
        energy: GeV, shape (n,).
        uvw: First interaction, cm, shape (n, 3).
        time: Of the first interaction, s, shape (n,).
        angle: Theta and phi in degrees of the direction from the target's centre to the first interaction, (n, 2).
    """

    energy: FloatArray
    uvw: FloatArray
    time: FloatArray
    angle: FloatArray


@dataclass(frozen=True)
class _Seen:
    """What is taken from the sensors before any correction.

    Attributes:
        point: The local fit.
        faces: Photons of each face, shape (n, 6).
    """

    point: PointFit
    faces: FloatArray

    @property
    def total(self) -> FloatArray:
        """Photons of all sensors, shape (n,)."""
        return np.maximum(self.faces.sum(axis=1), 1.0)

    def shape(self) -> FloatArray:
        """Return what tells how the shower lies around its first interaction, shape (n, 9)."""
        point = self.point
        return np.column_stack(
            [
                point.uvw[:, :2],
                np.log(point.uvw[:, 2] + 0.3),
                np.log(point.spread + 0.1),
                np.log(point.chi_square + 0.05),
                np.log(np.maximum(point.photons, 1.0) / self.total),
                point.skewness,
                np.log(self.total),
            ]
        )

    def sharing(self, uvw: FloatArray) -> FloatArray:
        """Return position and sharing of the light among the faces, shape (n, 9)."""
        shares = np.log(np.maximum(self.faces, 1.0) / self.total[:, None])
        return np.column_stack([uvw[:, :2], _log_depth(uvw), shares])

    def place(self, uvw: FloatArray) -> FloatArray:
        """Return position and amount of light, shape (n, 4)."""
        return np.column_stack([uvw[:, :2], _log_depth(uvw), np.log(self.total)])


def _log_depth(uvw: FloatArray) -> FloatArray:
    return np.log1p(np.maximum(uvw[:, 2], 0.0))


@dataclass(frozen=True)
class ConventionalReconstruction:
    """A reconstruction fitted to a sample.

    Attributes:
        position: First interaction less the fitted point, cm, from ``_Seen.shape``.
        energy: Logarithm of MeV per photon, from ``_Seen.sharing``.
        timing: Error of the mean time, ns, from ``_Seen.place``.
    """

    position: Polynomial
    energy: Polynomial
    timing: Polynomial

    @classmethod
    def fit(cls, npho: FloatArray, time: FloatArray, truth: Mapping[str, FloatArray]) -> "ConventionalReconstruction":
        """Return the reconstruction that fits a sample best.

        Args:
            npho: Photons, shape (n, 4760); 1e10 where there is no value.
            time: Seconds, shape (n, 4760); 1e10 where there is no value.
            truth: The branches energyTruth, timeTruth and uvwTruth.

        Raises:
            DataError: If truth is missing, or the sample is too small for a fit.
        """
        for name in (ENERGY, TIME_TRUTH, UVW):
            if name not in truth:
                raise DataError(
                    f"The conventional reconstruction needs the branch {name!r}; near: {nearest(name, truth)}."
                )
        if len(npho) < _MIN_EVENTS:
            raise DataError(
                f"The conventional reconstruction is fitted to {_MIN_EVENTS} events or more, got {len(npho)}."
            )
        seen = _look(npho)
        position = fit_polynomial(seen.shape(), truth[UVW] - seen.point.uvw, _DEGREE)
        uvw = seen.point.uvw + position(seen.shape())
        per_photon = np.log(truth[ENERGY].reshape(-1, 1) * 1e3 / seen.total[:, None])
        energy = fit_polynomial(seen.sharing(uvw), per_photon, _DEGREE)
        error = _mean_times(npho, time, uvw) - truth[TIME_TRUTH].ravel() * _NS_PER_SECOND
        timed = np.isfinite(error)
        timing = fit_polynomial(seen.place(uvw)[timed], error[timed, None], _DEGREE)
        return cls(position, energy, timing)

    def reconstruct(self, npho: FloatArray, time: FloatArray) -> Reconstructed:
        """Return what the sensors say of the photons.

        Args:
            npho: Photons, shape (n, 4760); 1e10 where there is no value.
            time: Seconds, shape (n, 4760); 1e10 where there is no value.
        """
        seen = _look(npho)
        uvw = seen.point.uvw + self.position(seen.shape())
        mean = _mean_times(npho, time, uvw) - self.timing(seen.place(uvw))[:, 0]
        return Reconstructed(
            energy=np.exp(self.energy(seen.sharing(uvw))[:, 0]) * seen.total * 1e-3,
            uvw=uvw,
            time=mean / _NS_PER_SECOND,
            angle=emission_angles(uvw_to_xyz(uvw)),
        )

    def save(self, path: Path) -> None:
        """Write the reconstruction to a small ``.npz`` file."""
        parts = {"position": self.position, "energy": self.energy, "timing": self.timing}
        arrays = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.as_arrays().items()}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "ConventionalReconstruction":
        """Return the reconstruction that was saved.

        Raises:
            DataError: If the file is not one of these.
        """
        try:
            with path.open("rb") as file, NpzFile(file, allow_pickle=False) as arrays:
                return cls(*(Polynomial.from_arrays(arrays, name) for name in _PARTS))
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise DataError(
                f"{path}: not a conventional reconstruction ({error}). Fit one and save it there."
            ) from error


def _look(npho: FloatArray) -> _Seen:
    """Return point fits and face sums, chunk by chunk, since a fit needs many times the memory of its events."""
    chunks = [npho[first : first + _CHUNK] for first in range(0, len(npho), _CHUNK)]
    points = [fit_points(inner_image(chunk)) for chunk in chunks]
    return _Seen(PointFit.join(points), np.concatenate([face_sums(chunk) for chunk in chunks]))


def _mean_times(npho: FloatArray, time: FloatArray, uvw: FloatArray) -> FloatArray:
    """Return mean times in ns, chunk by chunk, shape (n,)."""
    chunks = [slice(first, first + _CHUNK) for first in range(0, len(npho), _CHUNK)]
    return np.concatenate([mean_time(npho[chunk], time[chunk], uvw[chunk]) for chunk in chunks])
