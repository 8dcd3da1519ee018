"""The worst events as one interactive drawing of the unrolled detector: choose an event, hover or step over sensors."""

import json
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.colors import Colormap, to_hex
from numpy.typing import NDArray

from lib.evaluation.drawing.event_display import (
    NPHO_MAP,
    TIME_MAP,
    DisplayedEvent,
    centred_time_ns,
    npho_scale,
    time_scale,
)
from lib.evaluation.drawing.sensor_layout import sensor_layout, unrolled_uvw
from lib.evaluation.kept_events import KeptEvent
from lib.geometry.sensors import FACE_NAMES, FloatArray, nominal_sensors
from lib.report.markup import Markup, element, in_script, joined

# One letter per sensor says its colour: so many steps, then dead channels, then living ones without a time.
STEPS: Final = 32
LETTERS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
DEAD: Final = LETTERS[STEPS]
MARGIN_CM: Final = 4.0


def event_section(kept: Sequence[KeptEvent]) -> Markup:
    """Return controls, drawing and data of some events; the first one is drawn without a script too."""
    data = {
        "palettes": [_palette(NPHO_MAP), _palette(TIME_MAP)],
        "faces": list(FACE_NAMES),
        "face": "".join(str(code) for code in nominal_sensors().face_codes),
        "events": [_event_data(one) for one in kept],
    }
    return joined(
        _controls(kept),
        element("p", _title(kept[0]), id="event-title", aria_live="polite"),
        _drawing(kept[0].event),
        element("p", _scale_texts(kept[0].event)[0], id="event-scale", class_="note"),
        element(
            "p",
            "Point at a sensor, or use the arrow keys. Rings: true first interaction; diamonds: predicted.",
            id="sensor-text",
            aria_live="polite",
        ),
        element("script", in_script(json.dumps(data)), id="event-data", type="application/json"),
    )


def _controls(kept: Sequence[KeptEvent]) -> Markup:
    options = [element("option", f"{rank}. {_title(one)}", value=rank - 1) for rank, one in enumerate(kept, start=1)]
    quantities = [element("option", name, value=value) for value, name in enumerate(("photons", "time"))]
    return element(
        "p",
        element("label", "Event ", element("select", *options, id="event-choice")),
        element("label", "Show ", element("select", *quantities, id="quantity-choice")),
        class_="controls",
    )


def _title(one: KeptEvent) -> str:
    energy = f", {1e3 * one.event.energy_gev:.2f} MeV" if one.event.energy_gev is not None else ""
    return f"Run {one.event.run}, event {one.event.event}{energy}: {one.reason}"


def _scale_texts(event: DisplayedEvent) -> tuple[str, str]:
    photons, times = npho_scale(event)[0], time_scale(centred_time_ns(event)[0])
    return (
        f"Colours from dark to light: {photons.vmin:,.1f} to {photons.vmax:,.0f} photons, logarithmic; what is below "
        "has the darkest. Dashed sensors are dead.",
        f"Colours from dark to light: {times.vmin:+.1f} to {times.vmax:+.1f} ns around the median time. Empty sensors "
        "have no time, dashed ones are dead.",
    )


def _event_data(one: KeptEvent) -> dict[str, object]:
    event = one.event
    time_ns = np.where(event.timed, event.time.astype(np.float64) * 1e9, np.nan)
    return {
        "title": _title(one),
        "scales": _scale_texts(event),
        "colours": _colours(event),
        "npho": [None if dead else round(float(npho), 1) for npho, dead in zip(event.npho, event.dead, strict=True)],
        "time": [None if np.isnan(time) else round(float(time), 2) for time in time_ns],
        "truth": _places(event.uvw),
        "predicted": _places(event.predicted_uvw),
    }


def _colours(event: DisplayedEvent) -> tuple[str, str]:
    """Return one letter per sensor for photons and for time."""
    scale, lowest = npho_scale(event)
    photons = np.asarray(scale(np.clip(np.where(event.dead, lowest, event.npho), lowest, scale.vmax)), np.float64)
    time_ns, _ = centred_time_ns(event)
    times = np.asarray(time_scale(time_ns)(np.where(event.timed, time_ns, 0.0)), np.float64)
    shown_times = np.where(event.timed, _steps(times), STEPS + 1)
    dead = event.dead
    return _letters(np.where(dead, STEPS, _steps(photons))), _letters(np.where(dead, STEPS, shown_times))


def _letters(steps: NDArray[np.int64]) -> str:
    return "".join(LETTERS[step] for step in steps)


def _steps(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.clip(shares * STEPS, 0, STEPS - 1).astype(np.int64)


def _palette(colours: Colormap) -> list[str]:
    return [to_hex(colours((step + 0.5) / STEPS)) for step in range(STEPS)]


def _places(uvw: FloatArray | None) -> list[list[float]]:
    """Return where a point is seen on the inner and the outer face, in the drawing's frame; nothing of no point."""
    if uvw is None:
        return []
    places = [unrolled_uvw(uvw, face).tolist() for face in ("inner", "outer")]
    return [[round(x, 1), round(-y, 1)] for x, y in places]


def _drawing(event: DisplayedEvent) -> Markup:
    extent, frames = sensor_layout().extent, sensor_layout().frames
    outlines = [
        joined(
            element("rect", x=r.left - 1, y=-r.top - 1, width=r.width + 2, height=r.height + 2, class_="frame"),
            element("text", name, x=r.left, y=-r.top - 2.2, class_="face"),
        )
        for name, r in frames.items()
    ]
    rings = [element("circle", cx=x, cy=y, r=4, class_="truth") for x, y in _places(event.uvw)]
    diamonds = [
        element("path", d=f"M{x:g},{y - 5:g}l5,5l-5,5l-5,-5z", class_="predicted")
        for x, y in _places(event.predicted_uvw)
    ]
    left, top = extent.left - MARGIN_CM, -extent.top - 2 * MARGIN_CM
    drawing = element(
        "svg",
        *outlines,
        element("g", *_sensors(event), id="sensors"),
        element("g", *rings, id="truth"),
        element("g", *diamonds, id="predicted"),
        element("circle", r=4.5, id="cursor", visibility="hidden"),
        viewBox=f"{left:g} {top:g} {extent.width + 2 * MARGIN_CM:g} {extent.height + 3 * MARGIN_CM:g}",
        id="event-drawing",
        tabindex=0,
        role="application",
        aria_label="The six faces unrolled; each sensor has the colour of its value. Arrow keys go from sensor to "
        "sensor, and the text below tells its number, face, photons and time. Rings mark the true first interaction, "
        "diamonds the predicted one.",
    )
    return element("div", drawing, class_="event")


def _sensors(event: DisplayedEvent) -> list[Markup]:
    """Return one shape per sensor, in the order of their numbers, in the colours of the photons."""
    layout, palette = sensor_layout(), _palette(NPHO_MAP)
    shapes = []
    for sensor, letter in enumerate(_colours(event)[0]):
        (x, y), (width, height) = layout.centres[sensor].tolist(), layout.sizes[sensor].tolist()
        look = {"class_": "dead"} if letter == DEAD else {"fill": palette[LETTERS.index(letter)]}
        if layout.is_disc[sensor]:
            shapes.append(element("circle", cx=round(x, 1), cy=round(-y, 1), r=round(width / 2, 2), **look))
        else:
            left, top = round(x - width / 2, 1), round(-y - height / 2, 1)
            shapes.append(element("rect", x=left, y=top, width=round(width, 2), height=round(height, 2), **look))
    return shapes
