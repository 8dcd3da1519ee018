"""A frozen encoder joins the training from the heads towards the sensors."""

import pytest
import torch
from pydantic import ValidationError

from lib.models.config import InpainterModelConfig
from lib.models.inpainter import Inpainter

SETTINGS = {"freeze_encoder": True, "num_fusion_layers": 2, "drop_path_rate": 0.5, "hidden_dim": 8, "head_depth": 1}


def build(tiny, normalization, **thawing) -> Inpainter:
    return Inpainter(InpainterModelConfig(**tiny | SETTINGS, thawing=thawing), normalization)


def learning(model: Inpainter) -> set[str]:
    """Return which parts of the encoder learn, as the first words of their names."""
    names = [name for name, parameter in model.encoder.named_parameters() if parameter.requires_grad]
    return {".".join(name.split(".")[: 2 if name.startswith("fusion") else 1]) for name in names}


def test_parts_thaw_one_after_another(tiny, normalization) -> None:
    model = build(tiny, normalization, start_epoch=2, interval=3)
    everything = learning(model)
    found = {}
    for epoch in range(9):
        model.begin_epoch(epoch)
        found[epoch] = learning(model)
    last = {"norm", "fusion.1"}
    assert [found[epoch] for epoch in (0, 1)] == [set(), set()]
    assert [found[epoch] for epoch in (2, 4)] == [last, last]
    assert [found[epoch] for epoch in (5, 7)] == [last | {"fusion.0"}] * 2
    assert found[8] == everything
    assert {"faces", "fovea", "position"} <= everything


def test_an_earlier_epoch_freezes_again(tiny, normalization) -> None:
    """As after a return to an older state, or in a run that goes on from a checkpoint."""
    model = build(tiny, normalization)
    model.begin_epoch(5)
    model.begin_epoch(0)
    assert learning(model) == set()


def test_what_is_frozen_does_not_fluctuate_and_what_thawed_does(tiny, normalization) -> None:
    model = build(tiny, normalization)
    model.begin_epoch(1)
    model.train()
    assert model.encoder.fusion[1].training
    assert not model.encoder.fusion[0].training
    assert not any(face.training for face in model.encoder.faces.values())
    assert not any(module.training for module in model.eval().modules())


def test_steps_change_what_has_thawed_alone(tiny, normalization, events) -> None:
    model = build(tiny, normalization)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    model.begin_epoch(1)
    model.train()(*events, torch.rand(3, 4760) < 0.05).square().sum().backward()
    optimizer.step()
    changed = {name for name, value in model.encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(("norm.", "fusion.1.")) for name in changed)


def test_nothing_happens_without_thawing(tiny, normalization) -> None:
    for frozen in (True, False):
        config = InpainterModelConfig(**tiny | SETTINGS | {"freeze_encoder": frozen})
        model = Inpainter(config, normalization)
        before = learning(model)
        model.begin_epoch(7)
        assert learning(model) == before
        assert bool(before) != frozen


def test_thawing_needs_something_frozen() -> None:
    with pytest.raises(ValidationError, match="thawing needs freeze_encoder"):
        InpainterModelConfig(thawing={"start_epoch": 1})
