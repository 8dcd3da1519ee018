"""Watches the validation of a regressor and corrects its outputs by what it shows: bias, and size of the errors."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from lib.data.batch import EventBatch
from lib.data.branches import INVALID_ABOVE
from lib.evaluation.statistics.calibration import COVERED
from lib.evaluation.statistics.resolution import core_sigma, quantile_68
from lib.geometry.coordinates import BoolArray
from lib.geometry.sensors import FloatArray, IndexArray
from lib.models.output_correction import NUM_NODES, NUM_POWERS, EnergyTerms, OutputCorrection
from lib.tasks.regression import ERROR_SUFFIX
from lib.tasks.targets import Target
from lib.training.protocol import StepOutput

FEWEST_EVENTS: Final = 400
"""With fewer the size of the errors is known to worse than 5 %, and nothing is corrected."""
MOST_EVENTS: Final = 100_000
"""The first of a validation; they say it to 0.3 %, and memory stays flat."""
# Tenths of a spectrum do not blur a parabola.
_MOST_BINS: Final = 10
# Events of a node that know the size of errors, to 7 %; with fewer it is taken from the nodes beside.
_FEWEST_AT_NODE: Final = 100
# In units of the target's scale, about 3 MeV: a narrower spectrum does not tell how anything goes with the energy.
_NARROWEST: Final = 0.2
# Relative, of the energy: what is further off has not been learnt, and a factor of thousands would not help it.
_LARGEST_BIAS: Final = 0.5

_Measured = tuple[float, float]
"""Something about the residuals of some events, and its statistical error."""


class CorrectionFit:
    """Fits the correction of a regressor's outputs after each validation, for the checkpoint that follows.

    The mean of a likelihood takes in the tails. That of the energy lies below, from leaked showers, and all other
    events come out too high for it. Physics is done with the peak: values are moved until the core of the residuals is
    centred, energies by a factor. Errors are multiplied by what makes them hold 68.27 % of the residuals then. How both
    go with the energy is seen in bins of the true one: leaked showers would move between bins of the predicted one.

    Args:
        targets: What the regressor learns; without the energy among them, corrections are constants.
        correction: Is set.
    """

    def __init__(self, targets: Sequence[Target], correction: OutputCorrection) -> None:
        # Neither classes nor the components of a unit vector have a bias of their own.
        self._targets = [target for target in targets if target.transform not in {"classes", "direction"}]
        self._energy = next((target for target in targets if target.name == "energy"), None)
        self._correction = correction
        self._parts: dict[str, list[FloatArray]] = {}
        self._energies: list[FloatArray] = []
        self._num_events = 0

    def validation_batch(self, batch: EventBatch, output: StepOutput) -> None:
        """Take in one batch; rows that only fill it up are left out."""
        if self._num_events >= MOST_EVENTS:
            return
        real = batch.weight > 0
        self._num_events += int(real.sum())
        for target in self._targets:
            columns = [output.outputs[target.name], batch.truth[target.branch]]
            if target.errors:
                columns.append(output.outputs[target.name + ERROR_SUFFIX])
            self._parts.setdefault(target.name, []).append(np.stack([_array(one[real]) for one in columns]))
        if self._energy is not None:
            said = [output.outputs[self._energy.name], batch.truth[self._energy.branch]]
            self._energies.append(np.stack([_array(self._energy.to_scaled(one[real])[:, 0]) for one in said]))

    def validation_end(self, epoch: int) -> dict[str, float]:  # noqa: ARG002 - the same for every epoch
        """Set the correction; there are no metrics of it."""
        if self._num_events:
            energies = np.concatenate(self._energies, axis=1) if self._energies else np.zeros((2, self._num_events))
            spectrum = _Spectrum(energies[1], self._correction)
            for target in self._targets:
                self._fit(target, np.concatenate(self._parts[target.name], axis=1), energies[0], spectrum)
        self._parts, self._energies, self._num_events = {}, [], 0
        return {}

    def _fit(self, target: Target, columns: FloatArray, energies: FloatArray, spectrum: "_Spectrum") -> None:
        """Set the correction of one target.

        Args:
            target: The target.
            columns: Predictions, truth and errors, shape (2 or 3, N, width).
            energies: Predicted ones, scaled, shape (N,).
            spectrum: The true ones.
        """
        log_gain, offset = np.zeros((2, NUM_POWERS, target.head_width))
        log_error_gain = np.zeros((NUM_NODES, target.head_width))
        relative = target.name == "energy"
        powers = _array(spectrum.terms(energies).powers)
        for i in range(target.width):
            usable = spectrum.known & _usable(columns[:, :, i], relative=relative)
            if np.count_nonzero(usable) < FEWEST_EVENTS:
                continue
            # Whatever stands in the others, numbers can be computed with.
            value, true, *errors = np.where(usable, columns[:, :, i], 1.0)
            if relative:
                # Resolution and leakage of the energy go with it, and so does its bias.
                log_gain[:, i] = spectrum.fit(usable, value / true - 1.0, _log_factor_to_centre)
            else:
                offset[:, i] = spectrum.fit(usable, value - true, _shift_to_centre)
            for one in errors:
                residuals = value * np.exp(powers @ log_gain[:, i]) + powers @ offset[:, i] - true
                log_error_gain[:, target.width + i] = spectrum.follow(usable, residuals / one, _log_factor_to_cover)
        self._correction.set(
            target.name,
            log_gain=torch.as_tensor(log_gain),
            offset=torch.as_tensor(offset),
            log_error_gain=torch.as_tensor(log_error_gain),
        )


class _Spectrum:
    """The true energies of a validation, and what is measured along them.

    Attributes:
        known: Events whose energy is known, shape (N,).

    Args:
        energies: As the target scales them, shape (N,).
        correction: Is told which energies it refers to.
    """

    def __init__(self, energies: FloatArray, correction: OutputCorrection) -> None:
        self.known = np.isfinite(energies) & (np.abs(energies) < INVALID_ABOVE)
        lowest, highest = np.quantile(energies[self.known], [0.0, 1.0]) if self.known.any() else (0.0, 0.0)
        self._is_narrow = highest - lowest < _NARROWEST
        if self._is_narrow:
            lowest, highest = lowest - 1.0, lowest + 1.0
        self._correction = correction
        self._energies = energies
        self._around_nodes = self._bins_of_width((highest - lowest) / NUM_NODES)
        # Nodes beyond the last one, which no event is near.
        found = np.array([energies[one].mean() for one in self._around_nodes if len(one)] or [0.0])
        beyond = found[-1] + np.arange(1, NUM_NODES - len(found) + 1)
        correction.set_energies(lowest, highest, torch.as_tensor(np.concatenate([found, beyond])))
        self._powers = _array(self.terms(energies).powers)

    def terms(self, energies: FloatArray) -> EnergyTerms:
        """Return what the corrections at energies (N,) are made of."""
        return self._correction.terms_of(torch.as_tensor(energies, dtype=torch.float32)[:, None])

    def fit(self, usable: BoolArray, residuals: FloatArray, measure: Callable[[FloatArray], _Measured]) -> FloatArray:
        """Return the coefficients, shape (3,), of the parabola through what is measured in bins of equal content.

        Args:
            usable: Events that count, shape (N,).
            residuals: Or pulls, shape (N,).
            measure: Measures those of a bin.
        """
        events = np.flatnonzero(usable)
        events = events[np.argsort(self._energies[events], kind="stable")]
        bins = np.array_split(events, 1 if self._is_narrow else min(_MOST_BINS, len(events) // FEWEST_EVENTS))
        wanted, errors = np.array([measure(residuals[one]) for one in bins]).T
        weight = 1.0 / np.maximum(errors, np.finfo(np.float64).tiny)
        weight /= weight.max()
        terms = np.stack([self._powers[one].mean(axis=0) for one in bins])[:, : len(bins)]
        found = np.linalg.lstsq(terms * weight[:, None], wanted * weight)[0]
        return np.pad(found, (0, NUM_POWERS - len(found)))

    def follow(self, usable: BoolArray, pulls: FloatArray, measure: Callable[[FloatArray], _Measured]) -> FloatArray:
        """Return what is measured around each node, shape (16,); with few events there, what lies between others.

        Args:
            usable: Events that count, shape (N,).
            pulls: Residuals over predicted errors, shape (N,).
            measure: Measures those of a bin.
        """
        chosen = [one[usable[one]] for one in self._around_nodes]
        enough = [index for index, one in enumerate(chosen) if len(one) >= _FEWEST_AT_NODE]
        if not enough:
            return np.full(NUM_NODES, measure(pulls[usable])[0])
        measured = [measure(pulls[chosen[index]])[0] for index in enough]
        return np.interp(np.arange(NUM_NODES), enough, measured)

    def _bins_of_width(self, width: float) -> list[IndexArray]:
        """Return the known events in bins that are at least so wide and hold enough events; at least one bin."""
        events = np.flatnonzero(self.known)
        events = events[np.argsort(self._energies[events], kind="stable")]
        energies, edges = self._energies[events], [0]
        while edges[-1] < len(events):
            by_width = int(np.searchsorted(energies, energies[edges[-1]] + width))
            stop = max(by_width, edges[-1] + FEWEST_EVENTS)
            # What is left over is too little for a bin of its own.
            edges.append(len(events) if self._is_narrow or len(events) - stop < FEWEST_EVENTS else stop)
        return np.split(events, edges[1:-1])


def _usable(columns: FloatArray, *, relative: bool) -> BoolArray:
    """Return where the truth is known, without events that no ratio can be formed of, shape (N,)."""
    known = np.isfinite(columns).all(axis=0) & (np.abs(columns[1]) < INVALID_ABOVE)
    positive = columns[1:] if relative else columns[2:]
    usable: BoolArray = known & (positive > 0).all(axis=0)
    return usable


def _shift_to_centre(residuals: FloatArray) -> _Measured:
    """Return what is to be added for the core to be at 0."""
    core = core_sigma(residuals)
    return -core.mean, core.mean_error


def _log_factor_to_centre(relative: FloatArray) -> _Measured:
    """Return the logarithm of the factor that puts the core of relative residuals at 0."""
    core = core_sigma(relative)
    return (-float(np.log1p(core.mean)), core.mean_error) if abs(core.mean) < _LARGEST_BIAS else (0.0, core.mean_error)


def _log_factor_to_cover(pulls: FloatArray) -> _Measured:
    """Return the logarithm of what errors must be multiplied with to hold their share of the residuals."""
    share = quantile_68(pulls, share=COVERED)
    return (float(np.log(share.value)), share.error / share.value) if share.value > 0 else (0.0, 1.0)


def _array(values: Tensor) -> FloatArray:
    return values.cpu().double().numpy()
