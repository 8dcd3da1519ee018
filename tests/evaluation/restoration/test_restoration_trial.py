"""A trial hides living sensors, restores dead ones beside them, and says of each what lies around it."""

import numpy as np
import pytest
import torch

from lib.data.branches import NO_VALUE
from lib.evaluation.raw_events import RawBatch
from lib.evaluation.restoration.restoration_trial import HiddenChoice, _cluster_sizes, trial_rows
from lib.evaluation.restoration.restorer import ConventionalRestorer
from lib.geometry.faces import rectangular_face, staggered_face
from lib.geometry.sensors import nominal_sensors

INNER = rectangular_face("inner").sensor_ids
MEAN, ANGLE = ConventionalRestorer("neighbours"), ConventionalRestorer("solid_angle")


def make_batch(**true: np.ndarray) -> RawBatch:
    rng = np.random.default_rng(0)
    npho = rng.exponential(300.0, (3, 4760)).astype(np.float32)
    npho[:, [5, 4500]] = NO_VALUE
    npho[1, INNER[40, 20]] = 5e4
    time = np.where(rng.random((3, 4760)) < 0.3, 1e-8, NO_VALUE).astype(np.float32)
    return RawBatch(torch.tensor(npho), torch.tensor(time), dict(true), np.full(3, 7), np.arange(3))


def trial(choice: HiddenChoice, batch: RawBatch | None = None) -> dict[str, np.ndarray]:
    return trial_rows(batch or make_batch(), choice, MEAN, [ANGLE], np.random.default_rng(1))


def test_hidden_sensors_have_their_truth_and_dead_ones_have_none() -> None:
    pattern = np.zeros(4760, dtype=bool)
    pattern[[5, 100, 4400]] = True
    batch = make_batch()
    rows = trial(HiddenChoice(pattern, 0.0), batch)
    np.testing.assert_array_equal(rows["sensor"].reshape(3, 4), [[5, 100, 4400, 4500]] * 3)
    np.testing.assert_array_equal(rows["is_dead"].reshape(3, 4), [[1, 0, 0, 1]] * 3)
    dead = rows["is_dead"] > 0
    assert (rows["npho_truth"][dead] == NO_VALUE).all()
    assert (rows["npho_error"][dead] == NO_VALUE).all()
    hidden = rows["sensor"][~dead], rows["event"][~dead]
    np.testing.assert_array_equal(rows["npho_truth"][~dead], batch.npho.numpy()[hidden[1], hidden[0]])
    error = np.where(dead, NO_VALUE, rows["npho_pred"] - rows["npho_truth"])
    np.testing.assert_allclose(rows["npho_error"], error, rtol=1e-5)
    assert (rows["npho_pred"] < 1e6).all(), "all are restored"
    missing = np.isin(np.arange(4760), [5, 100, 4400, 4500])
    other = ANGLE.restore(batch.npho.numpy(), batch.time.numpy(), missing).npho
    np.testing.assert_allclose(rows["npho_solid_angle"], other[:, missing].ravel(), rtol=1e-6)
    assert set(np.unique(rows["face"])) == {0, 2, 3}
    assert "npho_expected" not in rows


def test_a_share_is_drawn_anew_for_each_event() -> None:
    rows = trial(HiddenChoice(None, 0.05))
    by_event = [set(rows["sensor"][(rows["event"] == event) & (rows["is_dead"] == 0)]) for event in range(3)]
    assert all(230 <= len(one) <= 238 for one in by_event)
    assert by_event[0] != by_event[1]


def test_expected_light_stands_beside_the_truth_where_it_is_known() -> None:
    light = np.arange(3 * 4760, dtype=np.float64).reshape(3, 4760)
    rows = trial(HiddenChoice(None, 0.05), make_batch(light=light))
    np.testing.assert_array_equal(rows["npho_expected"], light[rows["event"], rows["sensor"]].astype(np.float32))


def test_distances_count_from_the_brightest_place() -> None:
    rows = trial(HiddenChoice(None, 0.05))
    chosen = rows["event"] == 1
    positions = nominal_sensors().positions
    expected = np.linalg.norm(positions[rows["sensor"][chosen]] - positions[INNER[40, 20]], axis=1)
    np.testing.assert_allclose(rows["distance"][chosen], expected, atol=0.01)


@pytest.mark.parametrize(
    ("gone", "sizes"),
    [
        ([INNER[3, 3], INNER[4, 4], INNER[4, 5], INNER[10, 10]], [3, 3, 3, 1]),
        # Four rows apart, and on the other side of an edge.
        ([INNER[3, 3], INNER[5, 3], INNER[92, 0]], [1, 1, 1]),
        (list(staggered_face("top").sensor_ids[[0, 1, 11]]), [3, 3, 3]),
        # Where the coarse lattice of the outer face ends, the dense one goes on.
        ([4185, 4742, 4400], [2, 2, 1]),
    ],
)
def test_gaps_are_sensors_that_touch_on_their_face(gone: list[int], sizes: list[int]) -> None:
    missing = np.zeros((2, 4760), dtype=bool)
    missing[:, gone] = True
    np.testing.assert_array_equal(_cluster_sizes(missing)[:, gone], [sizes] * 2)
    missing[1] = False
    found = _cluster_sizes(missing)
    np.testing.assert_array_equal(found[0, gone], sizes)
    assert (found[~missing] == 0).all()
