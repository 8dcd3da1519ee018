"""Faces join to one list of sensors."""

import torch

from lib.geometry.faces import face_sensor_ids
from lib.geometry.sensors import FACE_NAMES
from lib.models.sensor_order import in_sensor_order


def test_faces_join_in_the_order_of_sensor_ids() -> None:
    faces = {name: torch.as_tensor(face_sensor_ids(code))[None, :, None] for code, name in enumerate(FACE_NAMES)}
    assert torch.equal(in_sensor_order(faces), torch.arange(4760)[None, :, None])
