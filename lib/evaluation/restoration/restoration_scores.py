"""How well dead channels are restored: against the light that was to be expected, and against what was measured."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lib.geometry.coordinates import BoolArray
from lib.geometry.sensors import FACE_NAMES, FloatArray, IndexArray, nominal_sensors

COVERED: Final = 0.68
BRIGHT: Final = 1000.0
"""Photons above which a sensor's measured value is compared."""
DECADES: Final = ((10.0, 1e2), (1e2, 1e3), (1e3, 1e4))


@dataclass(frozen=True, eq=False)
class ScoredSensors:
    """Hidden sensors of some events, k of them.

    Attributes:
        face: Codes of their faces, shape (k,).
        measured: Photons that were measured, shape (k,).
        expected: Photons before photon statistics and noise, shape (k,).
        restored: Photons that a method says, by its name, shape (k,) each.
    """

    face: IndexArray
    measured: FloatArray
    expected: FloatArray
    restored: dict[str, FloatArray]

    @staticmethod
    def pick(
        hidden: BoolArray, measured: FloatArray, expected: FloatArray, restored: dict[str, FloatArray]
    ) -> "ScoredSensors":
        """Return the hidden sensors of arrays of shape (n, 4760)."""
        codes = np.broadcast_to(nominal_sensors().face_codes, hidden.shape)[hidden]
        picked = {name: values[hidden] for name, values in restored.items()}
        return ScoredSensors(codes, measured[hidden], expected[hidden], picked)

    @staticmethod
    def join(parts: "list[ScoredSensors]") -> "ScoredSensors":
        """Return the sensors of several batches as one."""
        names = parts[0].restored
        return ScoredSensors(
            np.concatenate([part.face for part in parts]),
            np.concatenate([part.measured for part in parts]),
            np.concatenate([part.expected for part in parts]),
            {name: np.concatenate([part.restored[name] for part in parts]) for name in names},
        )

    def of_face(self, face: str) -> BoolArray:
        """Return True for the sensors of a face, shape (k,)."""
        return self.face == FACE_NAMES.index(face)

    def light_error(self, name: str, face: str) -> float:
        """Return the 68 % of |restored - expected| in photons on a face, NaN without sensors."""
        chosen = self.of_face(face)
        return _covered(self.restored[name][chosen] - self.expected[chosen])

    def bright_error_over_floor(self, name: str, face: str) -> float:
        """Return the 68 % of |restored - measured| over that of |expected - measured|, for bright sensors of a face."""
        chosen = self.of_face(face) & (self.measured > BRIGHT)
        floor = _covered(self.expected[chosen] - self.measured[chosen])
        return _covered(self.restored[name][chosen] - self.measured[chosen]) / floor

    def bias(self, name: str, decade: tuple[float, float]) -> float:
        """Return mean (restored - expected) over mean expected, for sensors that expect so much light."""
        chosen = (self.expected >= decade[0]) & (self.expected < decade[1])
        if not chosen.any():
            return float("nan")
        return float((self.restored[name][chosen] - self.expected[chosen]).mean() / self.expected[chosen].mean())


def _covered(residuals: FloatArray) -> float:
    return float(np.quantile(np.abs(residuals), COVERED)) if len(residuals) else float("nan")
