"""Which sensors a prediction rests on: gradient times input."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from lib.evaluation.drawing.event_display import NPHO_MAP
from lib.evaluation.drawing.sensor_drawing import draw_sensors
from lib.evaluation.predictors import TorchPredictor
from lib.evaluation.raw_events import RawBatch
from lib.geometry.sensors import FACE_NAMES, NUM_SENSORS, FloatArray, nominal_sensors

CHANNELS: Final = ("photons", "time")
_CHANNEL_COLOURS: Final = ("#0072b2", "#d55e00")
_DECADES: Final = 3.0


@dataclass(frozen=True, eq=False)
class Saliency:
    """Mean absolute gradient times input of one task.

    Attributes:
        task: Name of the task.
        sensors: Per sensor and channel (photons, time), shape (4760, 2); in units of the target's scale.
    """

    task: str
    sensors: FloatArray

    def by_face(self) -> FloatArray:
        """Return the share of each face and channel, shape (6, 2); all together are 1."""
        codes = nominal_sensors().face_codes
        sums = np.array([self.sensors[codes == code].sum(axis=0) for code in range(len(FACE_NAMES))])
        return sums / (float(sums.sum()) or 1.0)


def saliency(predictor: TorchPredictor, batches: Sequence[RawBatch]) -> list[Saliency]:
    """Return what each task's prediction rests on, averaged over events.

    The gradient of the sum of the components, each in units of its scale, is multiplied by the normalized input of
    each sensor; a sensor without a value counts nothing.

    Args:
        predictor: The model.
        batches: Some hundreds of events.
    """
    sums: dict[str, Tensor] = {}
    num_events = sum(len(batch.npho) for batch in batches)
    normalization, regressor = predictor.trained.normalization, predictor.model.regressor
    for batch in batches:
        x, valid = normalization.apply(batch.npho.to(predictor.device), batch.time.to(predictor.device))
        x.requires_grad_()
        said = regressor(x, valid)
        for target in predictor.trained.targets:
            values = target.scaled_values(said[target.name])
            (gradient,) = torch.autograd.grad(values.sum(), x, retain_graph=True)
            product = (gradient * x * valid).detach().abs().sum(dim=0)
            sums[target.name] = sums.get(target.name, torch.zeros_like(product)) + product
    return [Saliency(task, (total / num_events).cpu().numpy()) for task, total in sums.items()]


def draw_saliency(title: str, found: Sequence[Saliency]) -> list[Figure]:
    """Draw the shares of the faces on the first page and a map of the sensors for each task on the others."""
    return [_draw_faces(title, found), *(_draw_map(title, one) for one in found)]


def _draw_faces(title: str, found: Sequence[Saliency]) -> Figure:
    figure = Figure(figsize=(0.8 + 3.2 * max(len(found), 2), 4.2), layout="constrained")
    figure.suptitle(f"{title}: gradient \N{MULTIPLICATION SIGN} input by face", fontsize=13)
    panels = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
    place = np.arange(len(FACE_NAMES))
    for axes, one in zip(panels, found, strict=True):
        shares = 100.0 * one.by_face()
        for channel, name in enumerate(CHANNELS):
            offset = 0.4 * (channel - 0.5)
            axes.bar(place + offset, shares[:, channel], 0.38, color=_CHANNEL_COLOURS[channel], label=name)
        axes.set_xticks(place, FACE_NAMES, rotation=45)
        axes.set_title(one.task, fontsize=11)
    panels[0].set_ylabel("share (%)")
    panels[-1].legend(frameon=False)
    return figure


def _draw_map(title: str, one: Saliency) -> Figure:
    figure = Figure(figsize=(16.0, 7.9), facecolor="white")
    nobody = np.zeros(NUM_SENSORS, dtype=np.bool_)
    # An untrained head may have no gradient at all.
    largest = float(one.sensors.max()) or 1.0
    lowest = largest * 10**-_DECADES
    scale = LogNorm(lowest, largest)
    for channel, left in ((0, 0.008), (1, 0.506)):
        axes = figure.add_axes((left, 0.045, 0.43, 0.85))
        shown = np.maximum(one.sensors[:, channel], lowest)
        sensors = draw_sensors(axes, shown, dead=nobody, norm=scale, colours=NPHO_MAP)
        box = axes.get_position()
        bar = figure.colorbar(sensors, cax=figure.add_axes((box.x1 + 0.004, 0.105, 0.009, 0.73)), extend="min")
        bar.set_label("mean |gradient \N{MULTIPLICATION SIGN} input| (units of the target's scale)", fontsize=11)
        figure.text(left + 0.004, 0.915, CHANNELS[channel], fontsize=13)
    figure.text(0.012, 0.962, f"{title}: {one.task}", fontsize=16, va="center")
    return figure
