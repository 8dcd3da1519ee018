"""The fovea sees the pattern of the light, not its amount, and tells both apart."""

import pytest
import torch

from lib.models.config import EncoderConfig
from lib.models.encoder import Encoder
from lib.models.event_summary import Summarizer
from lib.models.fovea import FoveaNetwork
from lib.nn.drop_path import DropPath


@pytest.mark.parametrize("settings", [{"patch": 1}, {"patch": 3}, {"depths": (0, 0)}, {"num_dense": 0}, {"fit": True}])
def test_each_pixel_of_the_window_reaches_the_token_and_no_other_sensor(settings, normalization, awakened) -> None:
    options = {"patch": 2, "dims": (4, 8), "depths": (1, 1), "num_dense": 1} | settings
    network = awakened(FoveaNetwork(9, token_dim=8, drop_path_rate=0.0, **options))
    summarize = Summarizer(9, normalization, fit=options.get("fit", False))
    generator = torch.Generator().manual_seed(0)
    npho = torch.rand(1, 4760, generator=generator) * 1000.0 + 10.0
    x, valid = normalization.apply(npho, torch.full((1, 4760), 1e10))
    summary = summarize(x, valid)
    image = summary.image.clone().requires_grad_()
    network(summary._replace(image=image)).square().sum().backward()
    assert (image.grad[0, :, :2] != 0).all()
    far = torch.ones(4760, dtype=torch.bool)
    # The brightest place is searched all over the face; what is outside of the window only loses that search.
    far[summary.window.sensor_ids[0]] = False
    far[:4092] &= torch.tensor([sensor % 3 == 0 for sensor in range(4092)])
    dimmed = torch.where(far, npho * 0.5, npho)
    with torch.no_grad():
        same = summarize(*normalization.apply(dimmed, torch.full((1, 4760), 1e10)))
        torch.testing.assert_close(network(same), network(summary))


def test_twice_the_light_is_told_beside_the_pattern_alone(normalization) -> None:
    network = FoveaNetwork(9, patch=1, dims=(4,), depths=(1,), num_dense=0, token_dim=8, drop_path_rate=0.0)
    npho, time = torch.rand(1, 4760) * 1000.0 + 200.0, torch.full((1, 4760), 1e10)
    once, twice = (Summarizer(9, normalization)(*normalization.apply(k * npho, time)) for k in (1.0, 2.0))
    with torch.no_grad():
        shift = torch.log(torch.tensor(2.0)) * network.place.weight[:, 3]
        torch.testing.assert_close(network(twice) - network(once), shift[None], rtol=1e-3, atol=1e-4)


def test_what_a_fitted_point_leaves_over_reaches_the_token(normalization, awakened) -> None:
    network = awakened(
        FoveaNetwork(9, patch=1, dims=(4,), depths=(0,), num_dense=0, token_dim=8, drop_path_rate=0.0, fit=True)
    )
    npho, time = torch.rand(1, 4760) * 1000.0 + 200.0, torch.full((1, 4760), 1e10)
    summary = Summarizer(9, normalization, fit=True)(*normalization.apply(npho, time))
    for name in ("uvw", "wide", "root_photons", "residuals"):
        part = getattr(summary.fitted, name).clone().requires_grad_()
        network(summary._replace(fitted=summary.fitted._replace(**{name: part}))).square().sum().backward()
        assert (part.grad != 0).all()


def test_a_window_of_any_size_fits_into_the_encoder(tiny, normalization, events) -> None:
    for side in (5, 9, 43):
        encoder = Encoder(EncoderConfig(**tiny | {"fovea_side": side}), normalization)
        assert torch.isfinite(encoder(*events)).all()


def test_drop_path_reaches_the_window_and_grows_with_depth(tiny, normalization) -> None:
    config = EncoderConfig(**tiny | {"fovea_depths": (1, 2)}, drop_path_rate=0.2)
    fovea = Encoder(config, normalization).fovea
    assert fovea is not None
    rates = [module.rate for module in fovea.modules() if isinstance(module, DropPath)]
    assert rates == pytest.approx([0.0, 0.1, 0.2])


def test_a_dark_window_has_a_finite_gradient(normalization) -> None:
    """The slope of a root is infinite at zero, and a saliency map is made of slopes."""
    network = FoveaNetwork(9, patch=1, dims=(4,), depths=(1,), num_dense=0, token_dim=8, drop_path_rate=0.0)
    npho = torch.zeros(1, 4760)
    npho[0, 500] = 1000.0
    x, valid = normalization.apply(npho, torch.full((1, 4760), 1e10))
    x.requires_grad_()
    network(Summarizer(9, normalization)(x, valid)).sum().backward()
    assert torch.isfinite(x.grad).all()
