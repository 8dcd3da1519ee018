"""A point source fitted to the window around the brightest place, inside the network's graph."""

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from lib.baselines.position_fit import (
    ACCEPTED_SLOPE,
    HALF_SENSOR,
    LEAST_ACCEPTED,
    LEAST_HEIGHT,
    LIGHT_PATH,
    MODEL_ERROR,
    NOISE,
    VARIANCE_PER_PHOTON,
)
from lib.geometry.sensors import REFERENCE_RADIUS
from lib.models.window import U_PITCH, V_PITCH, Window

NUM_FIT_FEATURES: Final = 7
# Sensors on each side of the brightest one: the core of the spot, whose light comes from where the shower begins, and
# its surroundings, which see more of the rest.
_NEAR, _WIDE = 2, 4
_NEAR_STEPS, _WIDE_STEPS = 2, 1
_MAX_STEP = 1.0  # cm
_DEPTHS = (0.3, 25.0)  # cm
_DAMPING = 1.05
# The rough point is right to some centimetres, 1/cm^2. Where light from everywhere says less than that, the last bits
# of sums would decide.
_PRIOR = 0.25
_TINY = 1e-6
_SMALLEST = 1e-30
# Statistical error of the root of a count, whatever the count.
_ROOT_ERROR = 0.5 * math.sqrt(VARIANCE_PER_PHOTON)
_TYPICAL_LOG_ROOT = 5.5


class FittedPoint(NamedTuple):
    """What the fit says.

    Attributes:
        uvw: The point whose light the 5 x 5 brightest sensors see, cm, shape (B, 3).
        wide: The same for 9 x 9 sensors; where it differs, the shower is longer than a point.
        root_photons: Root of the photons per steradian that the point sends out, shape (B, 1).
        residuals: Roots of the counts of all pixels less those of the point's light, in statistical errors; 0 where
            nothing was measured; shape (B, side^2).
    """

    uvw: Tensor
    wide: Tensor
    root_photons: Tensor
    residuals: Tensor

    def features(self, window: Window) -> Tensor:
        """Return the point relative to the window in numbers of order one, shape (B, 7)."""
        across = self.uvw[:, :2] - window.uv
        amount = torch.log(self.root_photons.clamp_min(1.0)) - _TYPICAL_LOG_ROOT
        return torch.cat([across, torch.log(self.uvw[:, 2:]) - 1.0, self.wide - self.uvw, amount], dim=1)


class PointFit(nn.Module):
    """Gauss-Newton steps from the rough point, on the roots of the counts; has no weights.

    What ``lib.baselines.position_fit`` does until it rests, for a few steps and with the same model of the light. The
    shower is no point, and what is left over tells how: a network learns from that far sooner than from the light
    itself, most of whose pattern says where the source is.

    Args:
        side: Side of the window.
    """

    rows: Tensor
    columns: Tensor
    near: Tensor
    surroundings: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        steps = torch.arange(side, dtype=torch.float32) - side // 2
        rows, columns = steps.repeat_interleave(side), steps.repeat(side)
        distance = torch.maximum(rows.abs(), columns.abs())
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)
        for name, reach in (("near", _NEAR), ("surroundings", _WIDE)):
            self.register_buffer(name, torch.nonzero(distance <= reach)[:, 0], persistent=False)

    def forward(self, photons: Tensor, measured: Tensor, start: Tensor, window: Window) -> FittedPoint:
        """Fit the points.

        Args:
            photons: Of the window's pixels, shape (B, side^2).
            measured: 1 where they were measured, else 0, same shape.
            start: Rough points, cm, shape (B, 3).
            window: Where the pixels lie.
        """
        roots = torch.sqrt(photons + _TINY)
        place = torch.stack([window.uv[:, :1] + U_PITCH * self.columns, window.uv[:, 1:] - V_PITCH * self.rows], dim=2)
        pixels = _Pixels(place, roots, measured, _inverse_variance(photons) * measured)
        near = self._fit(pixels.some(self.near), start, _NEAR_STEPS)
        wide = self._fit(pixels.some(self.surroundings), near, _WIDE_STEPS)
        light = _PointLight.of(pixels.place, near)
        root_photons = pixels.amount(light.root, measured)
        residuals = measured * (roots - root_photons * light.root) / _ROOT_ERROR
        return FittedPoint(near, wide, root_photons, residuals)

    @staticmethod
    def _fit(pixels: "_Pixels", uvw: Tensor, num_steps: int) -> Tensor:
        for _ in range(num_steps):
            moved = uvw + pixels.step(_PointLight.of(pixels.place, uvw))
            uvw = torch.cat([moved[:, :2], moved[:, 2:].clamp(*_DEPTHS)], dim=1)
        return uvw


class _PointLight(NamedTuple):
    """Light of points as pixels see it.

    Attributes:
        root: Root of the photons for one photon per steradian, shape (B, K).
        slopes: Derivatives of the solid angle's logarithm along u, v, w, 1/cm, shape (B, 3, K).
    """

    root: Tensor
    slopes: Tensor

    @staticmethod
    def of(place: Tensor, uvw: Tensor) -> "_PointLight":
        """Return the light of points (B, 3) at pixels of places (B, K, 2) in u and v, cm."""
        u, v, w = uvw.split(1, dim=1)
        radius, turn = REFERENCE_RADIUS + w, (v - place[..., 1]) / REFERENCE_RADIUS
        # radius cos(turn) - REFERENCE_RADIUS, but some hundredth of the radius must not be left of two whole ones.
        height = (w - 2.0 * radius * torch.sin(0.5 * turn).square()).clamp_min(LEAST_HEIGHT)
        x, y = u - place[..., 0], radius * torch.sin(turn)
        angle, slopes = _solid_angle(x, y, height)
        angle = angle.clamp_min(_TINY)
        distance = torch.sqrt(x * x + y * y + height * height)
        accepted = LEAST_ACCEPTED + ACCEPTED_SLOPE * height / distance
        root = torch.sqrt(angle * accepted.clamp_max(1.0) * torch.exp(distance * (-1.0 / LIGHT_PATH)))
        return _PointLight(root, slopes / angle[:, None])


class _Pixels(NamedTuple):
    """Pixels of windows.

    Attributes:
        place: u and v in cm, shape (B, K, 2).
        roots: Of their counts, shape (B, K).
        measured: 1 or 0, shape (B, K).
        weight: Inverse variance of the roots, 0 where nothing was measured, shape (B, K).
    """

    place: Tensor
    roots: Tensor
    measured: Tensor
    weight: Tensor

    def some(self, chosen: Tensor) -> "_Pixels":
        """Return those of some numbers."""
        return _Pixels(*(values.index_select(1, chosen) for values in self))

    def amount(self, root: Tensor, weight: Tensor) -> Tensor:
        """Return the factor of the light's roots (B, K) that fits best, shape (B, 1)."""
        norm = _sum(weight * root * root)
        return _sum(weight * root * self.roots) / norm.clamp_min(_TINY)

    def step(self, light: _PointLight) -> Tensor:
        """Return the damped Gauss-Newton step of the points, cm, shape (B, 3)."""
        model = self.amount(light.root, self.weight) * light.root
        weighted = (self.weight * model)[:, None]
        norm = _sum(self.weight * model * model).clamp_min(_TINY)[:, None]
        # Less what a change of the amount of light does as well, so that three unknowns are left.
        columns = (0.5 * model)[:, None] * light.slopes
        columns = columns - model[:, None] * (_sum(weighted * columns) / norm)
        # No matrix product, which would be rounded to bfloat16 or TF32 where others are.
        curvature = ((self.weight[:, None] * columns)[:, :, None] * columns[:, None]).sum(dim=-1)
        one = torch.eye(3, dtype=curvature.dtype, device=curvature.device)
        curvature = curvature * (1.0 + (_DAMPING - 1.0) * one) + _PRIOR * one
        right = ((self.weight * (self.roots - model))[:, None] * columns).sum(dim=-1)
        return _solve(curvature, right).clamp(-_MAX_STEP, _MAX_STEP)


def _inverse_variance(photons: Tensor) -> Tensor:
    """Return that of the roots of counts."""
    noise = 0.25 * NOISE**2 / photons.clamp_min(100.0)
    return 1.0 / (_ROOT_ERROR**2 + (0.5 * MODEL_ERROR) ** 2 * photons + noise)


def _solid_angle(x: Tensor, y: Tensor, height: Tensor) -> tuple[Tensor, Tensor]:
    """Return the solid angle of a sensor in sr, (B, K), and its derivatives along x, y and height, (B, 3, K).

    The closed form of a corner, arctan(ab / (h r)) with r^2 = a^2 + b^2 + h^2, as in
    ``lib.geometry.solid_angle.rectangle_solid_angle``, and what differentiating it gives. Far from the sensor the four
    corners cancel to some thousandths. They are therefore added in double precision: the arctangents as the angle of a
    product of complex numbers h r + i a b, of which a single one is taken in the end.
    """
    precision = x.dtype
    x, y, height = x.double(), y.double(), height.double()
    # All four corners at once, left and right along the last dimension but one, below and above along the last: what a
    # single event costs in an exported model is the number of operations.
    a = torch.stack([-HALF_SENSOR - x, HALF_SENSOR - x], dim=-1)[..., :, None]
    b = torch.stack([-HALF_SENSOR - y, HALF_SENSOR - y], dim=-1)[..., None, :]
    h = height[..., None, None]
    squared, b_squared = h * h, b * b
    a_h, b_h = a * a + squared, b_squared + squared
    r = torch.sqrt(a_h + b_squared)
    across, along = h * r, a * b
    along_x = _difference(_difference(b / r, -1) * (h / a_h)[..., 0], -1)
    along_y = _difference(_difference(a / r, -2) * (h / b_h)[..., 0, :], -1)
    along_h = _difference(_difference(along * (r * r + squared) / (a_h * b_h * r), -1), -1)
    real, imaginary = _turned_back(*_turned_back(across, along))
    size = torch.sqrt(real * real + imaginary * imaginary)
    half = torch.atan((imaginary / (size + real).clamp_min(_SMALLEST)).to(precision))
    # A sensor is seen under up to 2 pi; twice an arctangent ends at pi.
    angle = 2.0 * torch.where(imaginary < 0, half + math.pi, half)
    return angle, -torch.stack([along_x, along_y, along_h], dim=-2).to(precision)


def _difference(values: Tensor, dim: int) -> Tensor:
    """Return the second less the first of two values along a dimension."""
    return values.select(dim, 1) - values.select(dim, 0)


def _turned_back(real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
    """Return complex numbers whose angle is that of the first less that of the second along the last dimension."""
    (real, other_real), (imaginary, other_imaginary) = real.unbind(-1), imaginary.unbind(-1)
    return (
        real * other_real + imaginary * other_imaginary,
        imaginary * other_real - real * other_imaginary,
    )


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """Return the solutions, shape (B, 3), of three symmetric equations each, shape (B, 3, 3), by Cramer's rule."""
    (a, b, c), (_, d, e), (_, _, f) = (row.unbind(1) for row in matrix.unbind(1))
    m00, m01, m02 = d * f - e * e, c * e - b * f, b * e - c * d
    m11, m12, m22 = a * f - c * c, b * c - a * e, a * d - b * b
    determinant = (a * m00 + b * m01 + c * m02).clamp_min(_TINY**3)
    x, y, z = right.unbind(1)
    solution = [m00 * x + m01 * y + m02 * z, m01 * x + m11 * y + m12 * z, m02 * x + m12 * y + m22 * z]
    return torch.stack(solution, dim=1) / determinant[:, None]


def _sum(values: Tensor) -> Tensor:
    """Return the sum over pixels, the last dimension, which stays."""
    return values.sum(dim=-1, keepdim=True)
