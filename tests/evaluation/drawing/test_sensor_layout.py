"""The unrolled detector must show every sensor once, at its true distance from the next, without overlap."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from lib.evaluation.drawing.sensor_layout import DRAWN_PMT_RADIUS, Rectangle, sensor_layout, unrolled, unrolled_uvw
from lib.geometry.faces import rectangular_face, staggered_face
from lib.geometry.hex_grid import directed_edges
from lib.geometry.sensors import FACE_NAMES, NUM_MPPC, PMT_RADIUS, nominal_sensors

LAYOUT = sensor_layout()
CODES = nominal_sensors().face_codes


def centres(name: str) -> np.ndarray:
    """Return the drawn centres of a rectangular face, shape (H, W, 2)."""
    return LAYOUT.centres[rectangular_face(name).sensor_ids]


def overlap(first: Rectangle, second: Rectangle) -> bool:
    return (
        first.left < second.right
        and second.left < first.right
        and first.bottom < second.top
        and second.bottom < first.top
    )


def test_mppcs_are_rectangles_and_pmts_discs() -> None:
    np.testing.assert_array_equal(LAYOUT.is_disc, np.arange(4760) >= NUM_MPPC)
    assert (LAYOUT.sizes[LAYOUT.is_disc] == 2 * DRAWN_PMT_RADIUS).all()
    assert DRAWN_PMT_RADIUS >= PMT_RADIUS


def test_no_two_sensors_overlap() -> None:
    discs = LAYOUT.centres[LAYOUT.is_disc]
    assert cKDTree(discs).query(discs, k=2)[0][:, 1].min() >= 2 * DRAWN_PMT_RADIUS
    # MPPCs fill their face: neighbours touch and no more.
    inner, size = centres("inner"), LAYOUT.sizes[0]
    np.testing.assert_allclose(np.diff(inner, axis=1), np.broadcast_to([size[0], 0], (93, 43, 2)), atol=1e-9)
    np.testing.assert_allclose(np.diff(inner, axis=0), np.broadcast_to([0, -size[1]], (92, 44, 2)), atol=1e-9)


@pytest.mark.parametrize(
    ("name", "along_row", "along_column"),
    [("inner", 1.50977, 1.53046), ("us", 7.0808, 5.9306), ("ds", 7.0808, 5.9306), ("outer_dense", 6.20, 6.4669)],
)
def test_pitches_are_those_of_the_detector(name: str, along_row: float, along_column: float) -> None:
    face = centres(name)
    # On the plane a side face has the phi of the inner face, so its rows are 64.97 cm x 5.23 degrees apart.
    np.testing.assert_allclose(np.linalg.norm(np.diff(face, axis=1), axis=-1), along_row, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(np.diff(face, axis=0), axis=-1), along_column, atol=1e-4)


@pytest.mark.parametrize("name", ["top", "bottom"])
def test_staggered_neighbours_keep_their_distance_in_space(name: str) -> None:
    ids = staggered_face(name).sensor_ids
    edges = ids[directed_edges()]
    on_plane = np.linalg.norm(LAYOUT.centres[edges[:, 0]] - LAYOUT.centres[edges[:, 1]], axis=1)
    positions = nominal_sensors().positions
    np.testing.assert_allclose(on_plane, np.linalg.norm(positions[edges[:, 0]] - positions[edges[:, 1]], axis=1))


def test_each_face_lies_within_its_frame_and_frames_stay_apart() -> None:
    assert set(LAYOUT.frames) == set(FACE_NAMES)
    for code, name in enumerate(FACE_NAMES):
        frame = LAYOUT.frames[name]
        low = (LAYOUT.centres - 0.5 * LAYOUT.sizes)[code == CODES].min(axis=0)
        high = (LAYOUT.centres + 0.5 * LAYOUT.sizes)[code == CODES].max(axis=0)
        assert (low >= np.array([frame.left, frame.bottom]) - 1e-9).all(), name
        assert (high <= np.array([frame.right, frame.top]) + 1e-9).all(), name
        assert not any(overlap(frame, other) for label, other in LAYOUT.frames.items() if label != name), name


def test_faces_are_folded_out_where_they_touch_the_inner_face() -> None:
    inner, frames = LAYOUT.frames["inner"], LAYOUT.frames
    assert frames["us"].right < inner.left
    assert frames["ds"].left > inner.right
    assert frames["top"].bottom > inner.top
    assert frames["bottom"].top < inner.bottom
    assert frames["outer"].left > frames["ds"].right
    # The sensors nearest to the target come next to the inner face.
    np.testing.assert_array_equal(np.argmax(centres("us")[..., 0], axis=1), 0)
    np.testing.assert_array_equal(np.argmin(centres("ds")[..., 0], axis=1), 0)
    assert (
        LAYOUT.centres[staggered_face("top").sensor_ids[0], 1] < LAYOUT.centres[staggered_face("top").sensor_ids[-1], 1]
    )


def test_side_faces_stand_level_with_the_inner_face() -> None:
    sensors = np.array([4308, 4452])
    x, y, _ = nominal_sensors().positions[sensors].T
    np.testing.assert_allclose(LAYOUT.centres[sensors, 1], 64.97 * np.arctan2(y, -x))


def test_the_extent_holds_every_frame() -> None:
    extent = LAYOUT.extent
    for frame in LAYOUT.frames.values():
        assert extent.left <= frame.left <= frame.right <= extent.right
        assert extent.bottom <= frame.bottom <= frame.top <= extent.top


def test_a_point_of_the_xenon_keeps_u_and_v_on_the_inner_face() -> None:
    uvw = np.array([[10.0, -30.0, 5.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(unrolled_uvw(uvw, "inner"), uvw[:, :2])


@pytest.mark.parametrize("face", FACE_NAMES)
def test_sensors_are_drawn_where_points_at_their_place_are(face: str) -> None:
    ids = np.flatnonzero(FACE_NAMES.index(face) == CODES)
    np.testing.assert_allclose(unrolled(nominal_sensors().positions[ids], face), LAYOUT.centres[ids])


def test_the_layout_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        LAYOUT.centres[0] = 0
