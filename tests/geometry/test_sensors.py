"""The sensor table must be the detector of the published positions, and a user's table must be one too."""

from pathlib import Path

import numpy as np
import pytest

from lib.errors import GeometryError
from lib.geometry.sensors import (
    BOTTOM_IDS,
    CONE_SLOPE,
    DENSE_PHI_PITCH,
    DENSE_Z_PITCH,
    DS_IDS,
    NUM_MPPC,
    NUM_SENSORS,
    OUTER_RADIUS,
    PHI_SPAN,
    REFERENCE_RADIUS,
    TOP_IDS,
    US_IDS,
    coarse_ids,
    cylindrical,
    dense_ids,
    load_sensors,
    nominal_sensors,
    staggered_ids,
)

POSITIONS = nominal_sensors().positions
NORMALS = nominal_sensors().normals
CODES = nominal_sensors().face_codes


@pytest.mark.parametrize(
    ("sensor", "position"),
    [
        (0, (-30.4163, 57.4104, -32.4601)),
        (4091, (-30.4163, -57.4104, 32.4601)),
        (4092, (-52.9019, 92.1667, -41.424)),
        # Sensor 4186 carries a coarse id and sits on the dense patch.
        (4186, (-105.043, 16.105, 0.0)),
        (4742, (-105.043, 16.105, -6.2)),
        (4308, (-34.6125, 60.3025, -35.1547)),
        (4457, (-51.2492, 89.2873, 46.8392)),
        (4596, (-31.2485, 60.6987, -30.6)),
        (4668, (-47.0626, 91.417, 39.78)),
        (4669, (-31.2485, -60.6987, -30.6)),
    ],
)
def test_sensors_stand_where_the_published_table_has_them(sensor: int, position: tuple[float, ...]) -> None:
    # The published table is rounded to six digits.
    np.testing.assert_allclose(POSITIONS[sensor], position, atol=6e-4)


def test_normals_are_unit_vectors_towards_the_xenon() -> None:
    np.testing.assert_allclose(np.linalg.norm(NORMALS, axis=1), 1.0, atol=2e-5)
    # A step of 2 cm along the normal from any sensor leads nearer to the middle of the xenon.
    middle = np.array([-85.0, 0.0, 0.0])
    towards = np.linalg.norm(POSITIONS + 2 * NORMALS - middle, axis=1) < np.linalg.norm(POSITIONS - middle, axis=1)
    assert towards[CODES != 0].all()
    radial = np.sum(NORMALS[:NUM_MPPC, :2] * POSITIONS[:NUM_MPPC, :2], axis=1)
    np.testing.assert_allclose(radial, REFERENCE_RADIUS)


def test_only_the_inner_face_has_mppcs() -> None:
    np.testing.assert_array_equal(nominal_sensors().is_mppc, CODES == 0)
    assert np.count_nonzero(CODES == 0) == NUM_MPPC


def test_the_faces_hold_their_numbers_of_sensors() -> None:
    np.testing.assert_array_equal(np.bincount(CODES), [4092, 234, 144, 144, 73, 73])


def test_the_detector_is_symmetric_under_reflection_of_z_and_of_y() -> None:
    for signs in ([1, 1, -1], [1, -1, 1]):
        mirrored = POSITIONS * signs
        order, other = np.lexsort(mirrored.round(3).T), np.lexsort(POSITIONS.round(3).T)
        np.testing.assert_allclose(mirrored[order], POSITIONS[other], atol=1e-9)


def test_upstream_is_negative_z_and_top_is_positive_y() -> None:
    assert (POSITIONS[slice(*US_IDS), 2] < 0).all()
    assert (POSITIONS[slice(*DS_IDS), 2] > 0).all()
    assert (POSITIONS[slice(*TOP_IDS), 1] > 0).all()
    assert (POSITIONS[slice(*BOTTOM_IDS), 1] < 0).all()


def test_inner_neighbours_have_the_pitch_of_the_mppcs() -> None:
    inner = POSITIONS[:NUM_MPPC].reshape(93, 44, 3)
    np.testing.assert_allclose(np.linalg.norm(np.diff(inner, axis=1), axis=-1), 1.5098, atol=1e-4)
    # The chord of the arc of 15.305 mm.
    np.testing.assert_allclose(np.linalg.norm(np.diff(inner, axis=0), axis=-1), 1.5304, atol=1e-4)
    assert (np.diff(inner[..., 2], axis=1) > 0).all()
    assert (np.diff(inner[..., 1], axis=0) < 0).all()


def test_coarse_lattice_is_24_by_9_and_not_9_by_24() -> None:
    # Trap: the other reshape puts sensors 83 cm apart side by side. Moved sensors stray by up to 7 cm.
    positions = POSITIONS[coarse_ids()]
    assert np.linalg.norm(np.diff(positions, axis=0), axis=-1).max() < 9.7 + 7.5
    assert np.linalg.norm(np.diff(positions, axis=1), axis=-1).max() < 10.36 + 7.5
    wrong = POSITIONS[coarse_ids().reshape(9, 24)]
    assert np.linalg.norm(np.diff(wrong, axis=1), axis=-1).max() > 80


def test_dense_patch_holds_eighteen_extra_and_twelve_moved_sensors() -> None:
    np.testing.assert_array_equal(
        dense_ids(),
        [
            [4185, 4742, 4186, 4743, 4187],
            [4744, 4745, 4746, 4747, 4748],
            [4194, 4749, 4195, 4750, 4196],
            [4203, 4751, 4204, 4752, 4205],
            [4753, 4754, 4755, 4756, 4757],
            [4212, 4758, 4213, 4759, 4214],
        ],
    )


def test_dense_patch_is_a_regular_lattice() -> None:
    patch = POSITIONS[dense_ids()]
    np.testing.assert_allclose(np.diff(patch[..., 2], axis=1), DENSE_Z_PITCH)
    phi = np.arctan2(patch[..., 1], -patch[..., 0])
    np.testing.assert_allclose(np.diff(phi, axis=0), -DENSE_PHI_PITCH)


def test_side_faces_lie_in_their_cone() -> None:
    # The table's own pitch of 2.3369 along z per 6.684 in radius is the cone's slope within its rounding.
    side = POSITIONS[slice(*DS_IDS)].reshape(24, 6, 3)
    along = side[:, 1:] - side[:, :-1]
    np.testing.assert_allclose(along[..., 2] / np.hypot(along[..., 0], along[..., 1]), CONE_SLOPE, atol=2e-5)
    np.testing.assert_allclose(np.linalg.norm(along, axis=-1), 7.08, atol=1e-3)
    normals = NORMALS[slice(*DS_IDS)].reshape(24, 6, 3)[:, 1:]
    np.testing.assert_allclose(np.sum(along * normals, axis=-1), 0.0, atol=1e-3)


@pytest.mark.parametrize("face", ["top", "bottom"])
def test_staggered_faces_lie_in_a_plane_through_the_beam_axis(face: str) -> None:
    ids = np.concatenate(staggered_ids(face))
    np.testing.assert_allclose(np.sum(POSITIONS[ids] * NORMALS[ids], axis=1), 0.0, atol=1e-9)
    phi = np.arctan2(POSITIONS[ids, 1], -POSITIONS[ids, 0])
    np.testing.assert_allclose(np.abs(phi), 0.5 * PHI_SPAN)


def test_cylindrical_coordinates_start_at_minus_x() -> None:
    np.testing.assert_allclose(cylindrical(2.0, 0.0, 5.0), [-2, 0, 5], atol=1e-12)
    np.testing.assert_allclose(cylindrical(2.0, 0.5 * np.pi, 5.0), [0, 2, 5], atol=1e-12)


def test_outer_sensors_stand_at_the_photocathode_radius() -> None:
    outer = POSITIONS[CODES == 1]
    np.testing.assert_allclose(np.hypot(outer[:, 0], outer[:, 1]), OUTER_RADIUS)


def test_nominal_table_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        nominal_sensors().positions[0] = 0


def write_table(path: Path, rows: np.ndarray) -> Path:
    np.savetxt(path, rows, header="id x y z")
    return path


def nominal_rows(*, normals: bool = False) -> np.ndarray:
    columns = [np.arange(NUM_SENSORS), POSITIONS] + ([3.0 * NORMALS] if normals else [])
    return np.column_stack(columns)


def test_a_table_in_any_order_is_read_by_its_ids(tmp_path: Path) -> None:
    rows = nominal_rows()
    rows[:, 1] += 0.25
    shuffled = np.random.default_rng(1).permutation(rows)
    table = load_sensors(write_table(tmp_path / "survey.txt", shuffled))
    np.testing.assert_allclose(table.positions, POSITIONS + np.array([0.25, 0, 0]))
    np.testing.assert_array_equal(table.normals, NORMALS)
    np.testing.assert_array_equal(table.face_codes, CODES)


def test_normals_of_a_table_are_read_and_scaled_to_unity(tmp_path: Path) -> None:
    table = load_sensors(write_table(tmp_path / "survey.txt", nominal_rows(normals=True)))
    np.testing.assert_allclose(table.normals, NORMALS, atol=2e-5)
    np.testing.assert_allclose(np.linalg.norm(table.normals, axis=1), 1.0)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match=r"nowhere.txt: not a table of sensor positions \(.*No such file"):
        load_sensors(tmp_path / "nowhere.txt")


@pytest.mark.parametrize("content", [b"0 1 2 three\n", b"0 1 2 3\n1 2 3\n", b"\xff\xfe0 1 2 3\n"])
def test_a_file_that_holds_no_numbers_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "survey.txt").write_bytes(content)
    with pytest.raises(GeometryError, match="not a table of sensor positions"):
        load_sensors(tmp_path / "survey.txt")


@pytest.mark.parametrize(("content", "columns"), [("0 1 2\n", 3), ("0 1 2 3 4 5 6 7\n", 8), ("# nothing\n", 0)])
def test_a_table_with_other_columns_is_refused(tmp_path: Path, content: str, columns: int) -> None:
    (tmp_path / "survey.txt").write_text(content)
    with pytest.raises(GeometryError, match=rf"expected 4 columns .* or 7 .*, got {columns}"):
        load_sensors(tmp_path / "survey.txt")


def test_a_table_without_a_sensor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match=r"each sensor id 0-4759 once, got 4759 lines; missing: \[17\]"):
        load_sensors(write_table(tmp_path / "survey.txt", np.delete(nominal_rows(), 17, axis=0)))


@pytest.mark.parametrize("wrong_id", [16, 17.5, 4760, np.nan])
def test_a_table_that_misnames_a_sensor_is_refused(tmp_path: Path, wrong_id: float) -> None:
    rows = nominal_rows()
    rows[17, 0] = wrong_id
    with pytest.raises(GeometryError, match=r"got 4760 lines; missing: \[17\]"):
        load_sensors(write_table(tmp_path / "survey.txt", rows))


@pytest.mark.parametrize("wrong_x", [1e3, np.nan, np.inf])
def test_a_sensor_far_from_its_place_is_refused(tmp_path: Path, wrong_x: float) -> None:
    rows = nominal_rows()
    rows[17, 1] = wrong_x
    with pytest.raises(GeometryError, match=r"sensor 17 lies .* cm from its nominal place .*Expected cm"):
        load_sensors(write_table(tmp_path / "survey.txt", rows))


@pytest.mark.parametrize("factor", [-1.0, 0.0, np.nan])
def test_a_normal_that_does_not_point_into_the_xenon_is_refused(tmp_path: Path, factor: float) -> None:
    rows = nominal_rows(normals=True)
    rows[4500, 4:7] *= factor
    with pytest.raises(GeometryError, match=r"sensor 4500 looks along .* normals point into the xenon"):
        load_sensors(write_table(tmp_path / "survey.txt", rows))
