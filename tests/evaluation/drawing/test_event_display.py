"""The display must say what the event holds: scales, median, truth, dead channels; and never fail on a poor event."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from lib.evaluation.drawing.event_display import (
    NPHO_MAP,
    TIME_MAP,
    DisplayedEvent,
    centred_time_ns,
    draw_event,
    npho_scale,
    time_scale,
)


@pytest.fixture(scope="module")
def event() -> DisplayedEvent:
    rng = np.random.default_rng(4)
    npho = rng.exponential(100.0, 4760).astype(np.float32)
    npho[[1, 2]] = [0.0, -3.0]
    npho[[10, 4500]] = 1e10
    time = rng.normal(5e-9, 1e-9, 4760).astype(np.float32)
    time[100:200] = 1e10
    return DisplayedEvent(npho, time, 12, 345, 0.05283, np.array([-3.25, 14.5, 2.0]))


@pytest.fixture(scope="module")
def figure(event: DisplayedEvent) -> Figure:
    return draw_event(event)


def words(figure: Figure) -> str:
    texts = [text.get_text() for text in figure.texts]
    texts += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return "\n".join(texts + [axes.get_ylabel() for axes in figure.axes])


def test_titles_name_run_event_energy_and_place(figure: Figure) -> None:
    assert "run 12, event 345" in words(figure)
    assert "52.83 MeV" in words(figure)
    assert "(−3.25, 14.50, 2.00) cm" in words(figure)


def test_scales_carry_units_and_the_legend_counts_dead_channels(figure: Figure, event: DisplayedEvent) -> None:
    assert "photons" in words(figure)
    assert "time after the median (ns)" in words(figure)
    assert "dead channel (2)" in words(figure)
    assert f"in {4760 - 2} channels" in words(figure)


def test_titles_do_not_overlap_one_another(figure: Figure) -> None:
    boxes = [text.get_window_extent() for text in figure.texts]
    boxes += [axes.get_tightbbox() for axes in figure.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_an_event_without_truth_shows_none(event: DisplayedEvent) -> None:
    figure = draw_event(replace(event, energy_gev=None, uvw=None))
    assert "MeV" not in words(figure)
    assert "true first interaction" not in words(figure)
    assert not any(axes.lines for axes in figure.axes)


def test_an_event_without_any_value_can_be_drawn(event: DisplayedEvent) -> None:
    nothing = np.full(4760, np.nan, np.float32)
    figure = draw_event(replace(event, npho=nothing, time=nothing))
    assert "dead channel (4760)" in words(figure)
    assert "no channel has a time" in words(figure)


def test_values_beyond_the_bound_or_not_finite_are_no_values(event: DisplayedEvent) -> None:
    npho, time = event.npho.copy(), event.time.copy()
    npho[[20, 21, 22]] = [np.inf, np.nan, -1e10]
    time[[30, 31]] = [np.nan, -np.inf]
    poor = replace(event, npho=npho, time=time)
    np.testing.assert_array_equal(np.flatnonzero(poor.dead), [10, 20, 21, 22, 4500])
    # A dead channel has no time either.
    np.testing.assert_array_equal(np.flatnonzero(~poor.timed)[:6], [10, 20, 21, 22, 30, 31])


def test_the_photon_scale_ends_at_the_brightest_living_sensor(event: DisplayedEvent) -> None:
    scale, lowest = npho_scale(event)
    assert scale.vmax == pytest.approx(event.npho[~event.dead].max())
    assert scale.vmin == lowest == pytest.approx(scale.vmax / 1000)


def test_times_are_centred_on_their_median(event: DisplayedEvent) -> None:
    time_ns, median = centred_time_ns(event)
    assert median == pytest.approx(5.0, abs=0.1)
    assert np.nanmedian(time_ns) == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_array_equal(np.isfinite(time_ns), event.timed)


def test_the_time_scale_is_symmetric_and_not_stretched_by_outliers() -> None:
    times = np.concatenate([np.linspace(-2, 2, 1001), np.full(20, 500.0), np.full(50, np.nan)])
    scale = time_scale(times)
    assert scale.vmax == -scale.vmin
    assert scale.vmax == pytest.approx(1.8, abs=0.1)


@pytest.mark.parametrize("colours", [NPHO_MAP, TIME_MAP])
def test_colours_grow_lighter_throughout_and_stand_out_on_white(colours: Colormap) -> None:
    lightness = colours(np.linspace(0, 1, 64))[:, :3] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > 0).all()
    assert lightness[-1] < 0.9
