"""Neighbours on the staggered faces must be those that touch, in every direction."""

import numpy as np
import pytest

from lib.geometry.faces import staggered_face
from lib.geometry.hex_grid import DIRECTIONS, NUM_STAGGERED, directed_edges, neighbour_table, staggered_layout
from lib.geometry.sensors import STAGGERED_ROWS, nominal_sensors

# Centres 6.12 cm apart in a row; rows 6.91 cm apart and shifted by half a pitch.
IN_ROW = 6.12
BETWEEN_ROWS = np.hypot(6.91, 3.06)


def edge_set() -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in directed_edges()}


def test_edges_are_366_and_symmetric() -> None:
    edges = edge_set()
    assert len(edges) == len(directed_edges()) == 366
    assert edges == {(b, a) for a, b in edges}
    assert not any(a == b for a, b in edges)


@pytest.mark.parametrize("face", ["top", "bottom"])
def test_edges_join_exactly_the_sensors_that_touch(face: str) -> None:
    positions = nominal_sensors().positions[staggered_face(face).sensor_ids]
    distance = np.linalg.norm(positions[:, None] - positions[None, :], axis=-1)
    # The next nearest sensors are two half-pitches off in the adjacent row, 11.5 cm away.
    touching = (distance > 0) & (distance < 8.0)
    assert edge_set() == {(int(a), int(b)) for a, b in np.argwhere(touching)}
    lengths = np.unique(distance[touching].round(6))
    np.testing.assert_allclose(lengths, [IN_ROW, BETWEEN_ROWS], atol=1e-4)


def test_the_rule_of_row_parity_is_wrong_here() -> None:
    # Trap: "odd rows are shifted to the right" misplaces neighbours, for the rows grow from 11 to 14.
    rows, _ = staggered_layout()
    column = np.arange(NUM_STAGGERED) - np.searchsorted(rows, rows)
    index = {(int(r), int(c)): i for i, (r, c) in enumerate(zip(rows, column, strict=True))}
    by_parity = set()
    for (row, col), sensor in index.items():
        shift = row % 2
        for step in ((0, 1), (0, -1), (1, shift - 1), (1, shift), (-1, shift - 1), (-1, shift)):
            if (other := index.get((row + step[0], col + step[1]))) is not None:
                by_parity.add((sensor, other))
    assert len(by_parity - edge_set()) > 80
    assert len(edge_set() - by_parity) > 80


def test_opposite_directions_lead_back() -> None:
    table = neighbour_table()
    assert table.shape == (73, 7)
    np.testing.assert_array_equal(table[:, 0], np.arange(73))
    for direction, (row_step, z_step) in enumerate(DIRECTIONS):
        back = DIRECTIONS.index((-row_step, -z_step))
        sensors = np.flatnonzero(table[:, direction] >= 0)
        np.testing.assert_array_equal(table[table[sensors, direction], back], sensors)


def test_each_direction_leads_where_it_says() -> None:
    rows, z = staggered_layout()
    table = neighbour_table()
    for direction, (row_step, z_step) in enumerate(DIRECTIONS):
        sensors = np.flatnonzero(table[:, direction] >= 0)
        neighbours = table[sensors, direction]
        np.testing.assert_array_equal(rows[neighbours] - rows[sensors], row_step)
        np.testing.assert_allclose(z[neighbours] - z[sensors], z_step * IN_ROW, atol=1e-9)


def test_the_layout_is_that_of_the_sensors() -> None:
    rows, z = staggered_layout()
    np.testing.assert_array_equal(np.bincount(rows), STAGGERED_ROWS)
    for face in ("top", "bottom"):
        np.testing.assert_allclose(nominal_sensors().positions[staggered_face(face).sensor_ids, 2], z)
