"""Mean, spread and skewness of any number of values, added up in pieces."""

from dataclasses import dataclass

import numpy as np

from lib.geometry.sensors import FloatArray


@dataclass(frozen=True)
class Moments:
    """Central moments of a sample; two samples join without loss.

    Attributes:
        count: Number of values.
        mean: Their mean.
        squares: Sum of the squared distances from the mean.
        cubes: Sum of the third powers of the distances.

    Source: P. Pebay, "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order
        statistical moments", Sandia report SAND2008-6212, eqs. 1.1-1.3.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    cubes: float = 0.0

    @classmethod
    def of(cls, values: FloatArray) -> "Moments":
        """Return the moments of finite values of any shape."""
        if not values.size:
            return cls()
        values = np.asarray(values, dtype=np.float64)
        mean = float(values.mean())
        distance = values - mean
        return cls(values.size, mean, float((distance**2).sum()), float((distance**3).sum()))

    def joined(self, other: "Moments") -> "Moments":
        """Return the moments of both samples together."""
        count = self.count + other.count
        if not count:
            return self
        shift = other.mean - self.mean
        shares = self.count / count, other.count / count
        product = self.count * shares[1]
        squares = self.squares + other.squares + shift**2 * product
        cubes = self.cubes + other.cubes + shift**3 * product * (shares[0] - shares[1])
        cubes += 3.0 * shift * (shares[0] * other.squares - shares[1] * self.squares)
        return Moments(count, self.mean + shift * shares[1], squares, cubes)

    @property
    def rms(self) -> float:
        """Root of the mean squared distance from the mean; NaN without values."""
        return float(np.sqrt(self.squares / self.count)) if self.count else float("nan")

    @property
    def skewness(self) -> float:
        """Mean cubed distance in units of the rms; negative where the lower tail is longer; NaN without a spread."""
        return self.cubes / self.count / self.rms**3 if self.count and self.rms > 0 else float("nan")
