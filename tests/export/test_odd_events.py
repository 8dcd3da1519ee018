"""The events that forms of a model are compared on must be what their kinds say."""

import numpy as np

from lib.export.odd_events import KINDS, FloatArray, generate_events


def event_of(kind: str) -> tuple[FloatArray, FloatArray]:
    npho, time = generate_events(len(KINDS), np.random.default_rng(3))
    index = KINDS.index(kind)
    return npho[index], time[index]


def test_kinds_follow_one_another_for_any_number_of_events() -> None:
    npho, time = generate_events(2 * len(KINDS) + 1, np.random.default_rng(1))
    assert npho.shape == time.shape == (2 * len(KINDS) + 1, 4760)
    assert npho.dtype == time.dtype == np.float32
    zero = KINDS.index("all zero")
    assert not npho[zero].any()
    assert not npho[zero + len(KINDS)].any()


def test_the_same_seed_gives_the_same_events() -> None:
    first, second = (generate_events(5, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_ordinary_events_have_bright_and_dark_sensors() -> None:
    npho, time = event_of("ordinary")
    assert 0.05 < np.mean(npho > 100) < 0.6
    assert np.abs(time).max() < 1e-7


def test_nothing_is_valid_in_an_invalid_event() -> None:
    npho, time = event_of("all invalid")
    assert (npho == 1e10).all()
    assert (time == 1e10).all()


def test_one_sensor_lives() -> None:
    npho, _ = event_of("one live sensor")
    assert np.count_nonzero(npho < 1e9) == 1


def test_saturated_and_negative_charges_are_what_they_are_called() -> None:
    assert (event_of("saturated")[0] == 1e6).all()
    assert np.mean(event_of("negative charge")[0] < 0) > 0.9


def test_some_values_are_not_finite() -> None:
    npho, time = event_of("not finite")
    assert np.isnan(npho).any()
    assert np.isneginf(npho).any()
    assert np.isinf(time).any()
    assert np.isnan(time).any()
    assert np.isfinite(npho).any()
