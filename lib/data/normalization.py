"""Photon counts and times to network inputs, and back.

Defined once, with tensor operations that loader threads, the compiled graph and the exported file all run: no
control flow depends on the data, and every intermediate stays float32.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from lib.config.document import Document
from lib.config.loading import validate
from lib.data.branches import INVALID_ABOVE, NO_VALUE
from lib.data.config import NormalizationConfig

PlainValue: TypeAlias = str | float


@dataclass(frozen=True)
class Normalization:
    """The transform between sensor readings and network inputs; the fields are those of ``NormalizationConfig``.

    With n = npho: log1p ``ln(1 + n/s1)/s2``, sqrt ``sqrt(n/s1)``, anscombe ``sqrt((n + 3/8)/(s1 + 3/8))``, linear
    ``n/s1``; time ``t/time_scale - time_shift``.

    Source:
        The variance-stabilizing square root is F. J. Anscombe, Biometrika 35 (1948) 246.
    """

    npho_scheme: Literal["log1p", "sqrt", "anscombe", "linear"]
    npho_scale: float
    npho_scale2: float
    time_scale: float
    time_shift: float
    sentinel_npho: float
    sentinel_time: float
    npho_threshold: float

    @classmethod
    def from_config(cls, config: NormalizationConfig) -> "Normalization":
        """Return the transform that a configuration describes."""
        return cls(**config.model_dump())

    @classmethod
    def from_dict(cls, values: Mapping[str, PlainValue]) -> "Normalization":
        """Return the transform of plain values, as ``as_dict`` gives them.

        Raises:
            ConfigError: If a value is unknown or impossible, as for a configuration.
        """
        return cls(**validate(NormalizationConfig, Document("normalization", dict(values), {})).model_dump())

    def as_dict(self) -> dict[str, PlainValue]:
        """Return the fields as plain values, for checkpoints and metadata."""
        return asdict(self)

    def fingerprint(self) -> str:
        """Return 12 hex digits that differ whenever a field does."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def difference(self, other: "Normalization") -> str:
        """Return each field that differs with both values, this one first; empty when the two are equal."""
        mine, theirs = self.as_dict(), other.as_dict()
        names = [field.name for field in fields(self) if mine[field.name] != theirs[field.name]]
        return "; ".join(f"{name}: {mine[name]!r} against {theirs[name]!r}" for name in names)

    def deferred(self) -> "Normalization":
        """Return what a loader applies when this transform follows on the device.

        Readings stay as they are, 1e10 where there is no value. Times of sensors below the threshold count as such:
        photons below any domain are 0 afterwards, which may be above a threshold that they were below.
        """
        return Normalization("linear", 1.0, 1.0, 1.0, 0.0, NO_VALUE, NO_VALUE, self.npho_threshold)

    @property
    def npho_domain(self) -> float:
        """Smallest photon count that the scheme transforms; smaller ones count as 0."""
        match self.npho_scheme:
            case "log1p":
                return -0.999 * self.npho_scale
            case "sqrt":
                return 0.0
            case "anscombe":
                return -0.375
            case "linear":
                # No limit of the formula: the mirror of the bound above keeps the result finite in float32.
                return -INVALID_ABOVE

    def apply(self, npho: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Normalize sensor readings.

        Args:
            npho: Photons per sensor, shape (..., 4760), float32; anything above 9e9 or not finite is no value.
            time: Seconds per sensor, shape (..., 4760), float32; anything beyond +-9e9 or not finite is no value.

        Returns:
            Network inputs, shape (..., 4760, 2), float32: photon count and time, sentinels where invalid, finite for
            every input; and what is valid, shape (..., 4760, 2), bool. A time is valid only with a valid count of at
            least ``npho_threshold``.
        """
        npho_input, time_input, npho_valid, time_valid = self.channels(npho, time)
        return torch.stack([npho_input, time_input], dim=-1), torch.stack([npho_valid, time_valid], dim=-1)

    def channels(self, npho: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what ``apply`` interleaves: inputs of photons and time, then what is valid of each, shape (..., 4760).

        A loader that writes them into rows of its own is spared a copy.
        """
        # A comparison is False for NaN, so bounds on both sides are all that "finite" needs. Each pass counts in the
        # loader.
        not_above = npho <= INVALID_ABOVE
        npho_valid = not_above & (npho > -torch.inf)
        time_valid = npho_valid & (npho >= self.npho_threshold) & (time.abs() <= INVALID_ABOVE)
        # Replace before the logarithm or root, not only after: the gradient of a NaN survives ``where``.
        usable = torch.where(not_above & (npho >= self.npho_domain), npho, 0.0)
        npho_input = torch.where(npho_valid, self._forward_npho(usable), self.sentinel_npho)
        time_input = torch.where(time_valid, time / self.time_scale - self.time_shift, self.sentinel_time)
        return npho_input, time_input, npho_valid, time_valid

    def inverse_npho(self, x: Tensor) -> Tensor:
        """Return photons from network inputs of the photon channel, any shape; sentinels are not recognized."""
        match self.npho_scheme:
            case "log1p":
                return torch.expm1(x * self.npho_scale2) * self.npho_scale
            case "sqrt":
                return x.square() * self.npho_scale
            case "anscombe":
                return x.square() * (self.npho_scale + 0.375) - 0.375
            case "linear":
                return x * self.npho_scale

    def inverse_time(self, x: Tensor) -> Tensor:
        """Return seconds from network inputs of the time channel, any shape; sentinels are not recognized."""
        return (x + self.time_shift) * self.time_scale

    def _forward_npho(self, npho: Tensor) -> Tensor:
        match self.npho_scheme:
            case "log1p":
                return torch.log1p(npho / self.npho_scale) / self.npho_scale2
            case "sqrt":
                return torch.sqrt(npho / self.npho_scale)
            case "anscombe":
                return torch.sqrt((npho + 0.375) / (self.npho_scale + 0.375))
            case "linear":
                return npho / self.npho_scale
