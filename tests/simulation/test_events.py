"""Events must agree with their truth, and depend on seed, run and number alone."""

import numpy as np
import pytest

from lib.data.branches import INVALID_ABOVE, NO_VALUE, NPHO, NPHO_EXPECTED, RELATIVE_NPHO, RELATIVE_TIME, TIME
from lib.geometry.coordinates import emission_vector, uvw_to_xyz
from lib.simulation.events import BLOCK_EVENTS, Columns, EventSimulator, branch_types
from lib.simulation.presets import build_config


def test_an_event_is_the_same_when_simulated_again(simulator: EventSimulator, events: Columns) -> None:
    again = EventSimulator(simulator.config, seed=3, run=1).block(1)
    for name, values in again.items():
        np.testing.assert_array_equal(values, events[name][BLOCK_EVENTS : 2 * BLOCK_EVENTS], err_msg=name)


@pytest.mark.parametrize(("seed", "run"), [(4, 1), (3, 2)])
def test_seed_and_run_choose_other_events(events: Columns, seed: int, run: int) -> None:
    other = EventSimulator(build_config(), seed=seed, run=run).block(0)
    assert not np.any(other["xyzTruth"] == events["xyzTruth"][:BLOCK_EVENTS])


def test_every_branch_has_its_announced_type(simulator: EventSimulator, events: Columns) -> None:
    types = branch_types(simulator.config)
    assert set(types) == set(events)
    for name, dtype in types.items():
        assert events[name].dtype == dtype.base
        assert events[name].shape[1:] == dtype.shape


def test_truth_is_consistent_with_itself(events: Columns) -> None:
    flight = events["xyzTruth"] - events["xyzVTX"]
    flight /= np.linalg.norm(flight, axis=1, keepdims=True)
    np.testing.assert_allclose(events["emiVec"], flight, atol=1e-12)
    np.testing.assert_allclose(emission_vector(events["emiAng"]), flight, atol=1e-12)
    np.testing.assert_allclose(uvw_to_xyz(events["uvwTruth"]), events["xyzTruth"], atol=1e-9)
    assert np.all(events["energyDeposited"] < events["energyTruth"] * 1.0001)
    assert np.all(events["energyDeposited"] > 0.005)
    np.testing.assert_array_equal(events["event"], np.arange(len(events["event"])))
    assert set(events["nGamma"]) == {1}


def test_events_convert_within_the_accepted_area(events: Columns) -> None:
    u, v, w = events["uvwTruth"].T
    assert np.abs(u).max() < 23.9
    assert np.abs(v).max() < 67.9
    assert w.min() > 0


def test_dead_channels_have_no_value_but_expected_light(simulator: EventSimulator, events: Columns) -> None:
    dead = simulator.detector.dead
    assert dead.sum() == 88
    for name in (NPHO, TIME, RELATIVE_NPHO, RELATIVE_TIME):
        assert np.all(events[name][:, dead] == np.float32(NO_VALUE))
    assert np.all(events[NPHO_EXPECTED][:, dead] > 0)


def test_npho_scatters_around_the_expected_light(simulator: EventSimulator, events: Columns) -> None:
    live = ~simulator.detector.dead
    expected = events[NPHO_EXPECTED][:, live].sum(axis=1, dtype=float)
    measured = events[NPHO][:, live].sum(axis=1, dtype=float)
    # 60 000 photoelectrons an event with an excess noise of 1.2: 0.4 %, and 0.008 % in the mean of 2500.
    assert np.mean(measured / expected) == pytest.approx(1, abs=3e-4)
    assert np.std(measured / expected) < 0.006


def test_relative_branches_start_at_the_largest_and_the_earliest(events: Columns) -> None:
    relative_npho, relative_time = events[RELATIVE_NPHO], events[RELATIVE_TIME]
    np.testing.assert_allclose(np.max(relative_npho, axis=1, where=relative_npho < INVALID_ABOVE, initial=0), 1)
    np.testing.assert_array_equal(relative_time < INVALID_ABOVE, events[TIME] < INVALID_ABOVE)
    # Faint sensors may be earlier than the earliest bright one, by their resolution of a few ns.
    assert np.min(relative_time) > -4e-8
    assert np.median(np.min(np.abs(relative_time), axis=1)) == 0


def test_light_arrives_after_the_first_interaction_by_its_time_of_flight(
    simulator: EventSimulator, events: Columns
) -> None:
    bright = np.argmax(np.where(events[NPHO] < INVALID_ABOVE, events[NPHO], 0), axis=1)
    rows = np.arange(len(bright))
    distance = np.linalg.norm(simulator.detector.sensors.positions[bright] - events["xyzTruth"], axis=1)
    delay_ns = 1e9 * (events[TIME][rows, bright] - events["timeTruth"])
    # The shower is not a point: what light needs from the first interaction is right to some 0.1 ns.
    assert np.median(delay_ns - distance * 1.80 / 29.979) == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize(
    ("assignments", "low", "high"),
    [
        (["energy.kind=uniform"], 15, 60),
        (["energy.kind=exponential", "trigger.min_deposit=0.5"], 1, 55),
        (["energy.value=30.0"], 30, 30),
    ],
)
def test_energies_follow_their_spectrum(assignments: list[str], low: float, high: float) -> None:
    simulator = EventSimulator(build_config(assignments=assignments), seed=1, run=1)
    energy = simulator.draw_accepted(simulator.generator(0)).emission.energy
    assert energy.min() >= low
    assert energy.max() <= high


def test_the_data_like_preset_has_pileup_and_another_detector_for_each_run() -> None:
    config = build_config("data_like")
    first, second = (EventSimulator(config, seed=1, run=run) for run in (1, 2))
    assert not np.array_equal(first.detector.dead, second.detector.dead)
    share = np.mean(first.block(0)["nGamma"] == 2)
    # 10 % of 500, less the photons that leave no energy.
    assert 0.05 < share < 0.15


def test_photons_of_the_point_vertex_start_at_the_origin() -> None:
    simulator = EventSimulator(build_config("calibration_55mev"), seed=1, run=1)
    emission = simulator.draw_accepted(simulator.generator(0)).emission
    assert not np.any(emission.vertex)
    assert np.all(emission.energy == 54.9)


def test_time_zero_is_spread_as_configured() -> None:
    block = EventSimulator(build_config(assignments=["trigger.t0_spread=0.0"]), seed=1, run=1).block(0)
    # From the target to the first interaction light needs 2.2 to 4 ns.
    assert np.all((block["timeTruth"] > 2.1e-9) & (block["timeTruth"] < 4.5e-9))


def test_light_fluctuation_widens_the_sum_of_an_event() -> None:
    def spread(fluctuation: float) -> float:
        settings = [f"xenon.fluctuation={fluctuation}", "output.expected_light=true"]
        block = EventSimulator(build_config(assignments=settings), seed=1, run=1).block(0)
        per_energy = block[NPHO_EXPECTED].sum(axis=1) / block["energyDeposited"]
        return float(np.std(np.log(per_energy)))

    assert spread(0.1) ** 2 - spread(0.0) ** 2 == pytest.approx(0.01, rel=0.3)
