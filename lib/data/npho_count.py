"""How many photon counts of the events in use are no value, or lie where the normalization cannot follow."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.data.branches import INVALID_ABOVE
from lib.data.normalization import Normalization


@dataclass
class NphoCount:
    """Sums over sensors and events.

    Attributes:
        sensors: Photon counts that were looked at.
        invalid: Those without a value: above 9e9, NaN or infinite.
        below_domain: Values below the domain of the scheme, which count as 0 photons; None where they are not known, as
            in the packed cache.
    """

    sensors: int = 0
    invalid: int = 0
    below_domain: int | None = 0

    def add(self, other: "NphoCount") -> None:
        """Add the sums of other events."""
        self.sensors += other.sensors
        self.invalid += other.invalid
        known = self.below_domain is not None and other.below_domain is not None
        self.below_domain = (self.below_domain or 0) + (other.below_domain or 0) if known else None

    def metrics(self, split: str) -> dict[str, float]:
        """Return the shares of all sensors by metric name, for ``train`` or ``val``; none before anything was seen."""
        if not self.sensors:
            return {}
        shares = {f"{split}/npho_invalid_share": self.invalid / self.sensors}
        if self.below_domain is not None:
            shares[f"{split}/npho_below_domain_share"] = self.below_domain / self.sensors
        return shares

    def __str__(self) -> str:
        if not self.sensors:
            return "no photon count was read"
        text = f"{100 * self.invalid / self.sensors:.3g} % of the photon counts are no value"
        if self.below_domain is None:
            return f"{text}; the cache does not tell those below the domain of the scheme from 0"
        return (
            f"{text}, {100 * self.below_domain / self.sensors:.3g} % lie below the domain of the scheme and count as 0"
        )


def count_npho(npho: NDArray[Any], normalization: Normalization) -> NphoCount:
    """Return the sums over photon counts as they stand in a file, any shape, float32 of either byte order."""
    native = npho.astype(np.float32, copy=False)
    # Comparisons with NaN are false, as is wanted.
    with np.errstate(invalid="ignore"):
        valid = (native <= np.float32(INVALID_ABOVE)) & (native > -np.inf)
        below = valid & (native < np.float32(normalization.npho_domain))
    return NphoCount(native.size, native.size - int(np.count_nonzero(valid)), int(np.count_nonzero(below)))
