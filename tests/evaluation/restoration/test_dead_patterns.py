"""Dead channels for trials are as many as asked for."""

import numpy as np
import pytest

from lib.errors import UserError
from lib.evaluation.restoration.dead_patterns import draw_clusters, draw_sensors
from lib.geometry.faces import rectangular_face


def test_each_event_loses_other_sensors_but_as_many() -> None:
    dead = draw_sensors(np.random.default_rng(0), 5, 88)
    assert dead.shape == (5, 4760)
    assert (dead.sum(axis=1) == 88).all()
    assert (dead[0] != dead[1]).any()


def test_clusters_are_squares_of_nine_that_do_not_overlap() -> None:
    image = draw_clusters(np.random.default_rng(0), 20)[rectangular_face("inner").sensor_ids]
    assert image.sum() == 180
    blocks = image[:93, :42].reshape(31, 3, 14, 3).sum(axis=(1, 3))
    assert set(np.unique(blocks)) == {0, 9}


def test_more_clusters_than_fit_are_refused() -> None:
    assert draw_clusters(np.random.default_rng(0), 31 * 14).sum() == 31 * 14 * 9
    with pytest.raises(UserError, match=r"435 clusters of 3 x 3 do not fit .* room for 434"):
        draw_clusters(np.random.default_rng(0), 435)
