"""One event with hidden sensors on the unrolled detector: truth, visible, restored, difference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from lib.data.branches import NO_VALUE
from lib.evaluation.drawing.event_display import NPHO_MAP, DisplayedEvent, npho_scale
from lib.evaluation.drawing.sensor_drawing import BoolArray, draw_sensors
from lib.evaluation.restoration.restorer import Restorer
from lib.geometry.sensors import FloatArray

FIGURE_SIZE: Final = (15.0, 12.5)
# Five standard deviations to either side; a diverging map whose middle is pale, not grey.
PULL_RANGE: Final = 5.0
PULL_MAP: Final = mpl.colormaps["RdBu_r"]
# Variance of a photon count over the count: excess noise over photon detection efficiency of an MPPC.
_VARIANCE_PER_PHOTON: Final = 1.30 / 0.08
_NOISE: Final = 25.0


@dataclass(frozen=True, eq=False)
class RestoredEvent:
    """An event of which some sensors were hidden and restored.

    Attributes:
        event: As it was measured.
        hidden: True for living sensors that were hidden, shape (4760,).
        restored: Photons with the hidden and dead ones restored, shape (4760,).
    """

    event: DisplayedEvent
    hidden: BoolArray
    restored: FloatArray

    @property
    def pulls(self) -> FloatArray:
        """Restored minus measured photons over their standard deviation, NaN where not hidden, shape (4760,)."""
        true = np.where(self.hidden, self.event.npho, 0.0)
        sigma = np.sqrt(np.maximum(true, 0.0) * _VARIANCE_PER_PHOTON + _NOISE**2)
        return np.where(self.hidden, (self.restored - true) / sigma, np.nan)


def hide_and_restore(restorer: Restorer, event: DisplayedEvent, hidden: BoolArray) -> RestoredEvent:
    """Return an event as a model or method restores it.

    Args:
        restorer: Restores.
        event: As it was measured.
        hidden: True for sensors to hide, shape (4760,); dead ones are restored, too, and not compared.
    """
    npho, time = (np.nan_to_num(one, nan=NO_VALUE)[None].astype(np.float32) for one in (event.npho, event.time))
    restored = restorer.restore(npho, time, (hidden | event.dead)[None])
    return RestoredEvent(event, hidden & ~event.dead, restored.npho[0])


def describe_restoration(shown: Mapping[str, RestoredEvent]) -> str:
    """Return how far restored photons are from measured ones, in standard deviations, for each model or method."""
    sizes = {name: np.abs(one.pulls[one.hidden]) for name, one in shown.items()}
    return "68 % of |restored - measured|, in standard deviations of a photon count: " + ", ".join(
        f"{name} {np.quantile(size, 0.68):.2f}" if len(size) else f"{name} -" for name, size in sizes.items()
    )


def draw_restoration(shown: RestoredEvent) -> Figure:
    """Draw an event four times: as measured, without what is hidden, restored, and restored minus measured."""
    figure = Figure(figsize=FIGURE_SIZE, facecolor="white", layout="constrained")
    dead, nothing = shown.event.dead, np.zeros_like(shown.hidden)
    scale, lowest = npho_scale(shown.event)
    panels = (
        ("measured", shown.event.npho, dead),
        ("visible", shown.event.npho, dead | shown.hidden),
        ("restored", shown.restored, nothing),
    )
    for place, (title, npho, crossed) in enumerate(panels):
        axes = figure.add_subplot(2, 2, place + 1)
        drawn = draw_sensors(axes, np.maximum(npho, lowest), dead=crossed, norm=scale, colours=NPHO_MAP)
        axes.set_title(f"{title}: {np.count_nonzero(crossed)} sensors missing", fontsize=13)
        figure.colorbar(drawn, ax=axes, shrink=0.8, extend="min").set_label("photons")
    axes = figure.add_subplot(2, 2, 4)
    norm = Normalize(-PULL_RANGE, PULL_RANGE)
    drawn = draw_sensors(axes, shown.pulls, dead=dead, norm=norm, colours=PULL_MAP)
    axes.set_title(f"restored minus measured: {np.count_nonzero(shown.hidden)} hidden sensors", fontsize=13)
    figure.colorbar(drawn, ax=axes, shrink=0.8, extend="both").set_label("standard deviations of a photon count")
    figure.suptitle(f"run {shown.event.run}, event {shown.event.event}", fontsize=17)
    return figure
