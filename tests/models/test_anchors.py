"""Anchors must say what the summary says, in the language of the heads."""

import numpy as np
import pytest
import torch

from lib.geometry.coordinates import emission_angles, emission_vector, uvw_to_xyz
from lib.models.anchors import ANCHORS, GEV_PER_PHOTON, Anchor, TargetScale
from lib.models.config import RegressorModelConfig
from lib.models.event_summary import Summarizer
from lib.models.regressor import Regressor

WIDTHS = {"angle": 2, "energy": 1, "timing": 1, "uvwFI": 3, "angleVec": 3}


@pytest.fixture(params=[False, True], ids=["rough", "fitted"])
def summary(request, normalization, events):
    return Summarizer(17, normalization, fit=request.param)(*events)


def test_every_anchor_has_the_width_of_its_task(summary) -> None:
    assert {name: anchor(summary).value.shape[1] for name, anchor in ANCHORS.items()} == WIDTHS
    assert all((anchor(summary).spread > 0).all() for anchor in ANCHORS.values())


def test_directions_point_from_the_target_to_the_point(summary) -> None:
    place = summary.uvw if summary.fitted is None else summary.fitted.uvw
    expected = emission_angles(uvw_to_xyz(place.double().numpy()))
    np.testing.assert_allclose(ANCHORS["angle"](summary).value.numpy(), expected, atol=1e-3)
    np.testing.assert_allclose(ANCHORS["angleVec"](summary).value.numpy(), emission_vector(expected), atol=1e-5)


def test_a_head_speaks_of_an_anchor_as_of_any_value() -> None:
    anchor = Anchor(torch.tensor([[0.05]]), torch.tensor([[0.005]]))
    linear = anchor.scaled(TargetScale((0.0375,), (0.013,)))
    assert float(linear.value) == pytest.approx((0.05 - 0.0375) / 0.013)
    assert float(linear.spread) == pytest.approx(0.005 / 0.013)
    logarithmic = anchor.scaled(TargetScale((0.0375,), (0.4,), logarithmic=True))
    assert float(logarithmic.value) == pytest.approx(np.log(0.05 / 0.0375) / 0.4)
    assert float(logarithmic.spread) == pytest.approx(0.1 / 0.4)


def test_an_untrained_regressor_says_what_the_anchors_say(tiny, normalization, events, summary) -> None:
    scales = {"energy": TargetScale((0.0375,), (0.013,)), "uvwFI": TargetScale((0.0,) * 3, (14.0, 39.0, 5.0))}
    # Twice the width: the logarithms of the errors that a likelihood learns.
    config = RegressorModelConfig(**tiny, point_fit=summary.fitted is not None)
    model = Regressor(config, {"energy": 2, "uvwFI": 6}, normalization, scales=scales).eval()
    for head in model.heads.values():
        torch.nn.init.zeros_(head.out.weight)
    said = model(*events)
    torch.testing.assert_close(said["energy"][:, :1] * 0.013 + 0.0375, summary.photons * GEV_PER_PHOTON)
    torch.testing.assert_close(said["uvwFI"][:, :3] * torch.tensor([14.0, 39.0, 5.0]), summary.point)
    torch.testing.assert_close(said["energy"][:, 1:].exp() * 0.013, 0.1 * summary.photons * GEV_PER_PHOTON)
    errors = said["uvwFI"][:, 3:].exp() * torch.tensor([14.0, 39.0, 5.0])
    torch.testing.assert_close(errors, torch.tensor([[0.5, 0.5, 1.0]]).expand(3, 3))


def test_without_the_skip_path_there_is_no_anchor(tiny, normalization, events) -> None:
    scales = {"energy": TargetScale((0.0375,), (0.013,))}
    config = RegressorModelConfig(**tiny, physics_skip=False)
    model = Regressor(config, {"energy": 1}, normalization, scales=scales).eval()
    torch.nn.init.zeros_(model.heads["energy"].out.weight)
    assert not model(*events)["energy"].any()
