"""A mirrored event is the event of a mirrored photon."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.geometry.coordinates import emission_angles, xyz_to_uvw
from lib.geometry.sensors import nominal_sensors
from lib.tasks.reflection import Reflection, mirrored_truth

SIGNS = {"z": (1.0, 1.0, -1.0), "phi": (1.0, -1.0, 1.0)}


def flips(mirror: str, count: int) -> dict[str, torch.Tensor]:
    return {f"flip_{name}": torch.full((count,), name in mirror) for name in ("z", "phi")}


@pytest.mark.parametrize("mirror", ["z", "phi", "z+phi"])
def test_light_of_the_mirrored_point_is_the_mirrored_light(make_batch, mirror: str) -> None:
    """Light that falls with the squared distance from a point, seen from the point's image."""
    sign = np.prod([SIGNS[name] for name in mirror.split("+")], axis=0)
    points = np.array([[-80.0, 11.0, 7.0], [-70.0, -30.0, -19.0]])
    light = [
        1e5 / ((nominal_sensors().positions - where[:, None]) ** 2).sum(axis=2) for where in (points, points * sign)
    ]
    before, after = (torch.from_numpy(np.stack([one, one + 1.0], axis=-1)).float() for one in light)
    batch = make_batch(2)
    batch = replace(batch, x=before, valid=before > 20.0)
    mirrored = Reflection().apply(batch, **flips(mirror, 2))
    torch.testing.assert_close(mirrored.x, after, rtol=1e-6, atol=0)
    assert torch.equal(mirrored.valid, after > 20.0)


@pytest.mark.parametrize("mirror", ["z", "phi", "z+phi"])
def test_truth_is_that_of_the_mirrored_photon(mirror: str) -> None:
    rng = np.random.default_rng(0)
    sign = np.prod([SIGNS[name] for name in mirror.split("+")], axis=0)
    xyz = np.array([-80.0, 0.0, 0.0]) + rng.uniform(-10, 10, (5, 3))
    vector = xyz / np.linalg.norm(xyz, axis=1, keepdims=True)
    signs = tuple(torch.full((5,), -1.0 if name in mirror else 1.0) for name in ("z", "phi"))
    forms = {
        "uvwTruth": xyz_to_uvw, "emiAng": emission_angles, "xyzTruth": lambda p: p, "xyzVTX": lambda p: p,
        "emiVec": lambda p: p / np.linalg.norm(p, axis=1, keepdims=True),
    }  # fmt: skip
    for branch, form in forms.items():
        found = mirrored_truth(branch, torch.from_numpy(form(vector if "emi" in branch else xyz)), *signs)
        expected = form((vector if "emi" in branch else xyz) * sign)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    energy = torch.rand(5, 1)
    assert torch.equal(mirrored_truth("energyTruth", energy, *signs), energy)


def test_each_event_is_mirrored_with_probability_one_half(make_batch) -> None:
    batch = make_batch(2)
    rows = torch.zeros(400, dtype=torch.long)
    many = replace(
        batch, x=batch.x[rows, :, :1], valid=batch.valid[rows, :, :1], truth={"uvwTruth": torch.ones(400, 3)},
    )  # fmt: skip
    torch.manual_seed(0)
    signs = Reflection().draw(many).truth["uvwTruth"]
    for column in (0, 1):
        # Five standard deviations of a binomial share.
        assert abs((signs[:, column] < 0).float().mean().item() - 0.5) < 5 * 0.5 / 20
    assert abs((signs[:, 0] * signs[:, 1]).mean().item()) < 5 / 20
    assert torch.equal(signs[:, 2], torch.ones(400))
