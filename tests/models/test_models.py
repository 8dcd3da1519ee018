"""What holds for regressor, autoencoder and inpainter alike."""

import warnings

import numpy as np
import pytest
import torch

from lib.models.config import InpainterModelConfig, MaeModelConfig, RegressorModelConfig
from lib.models.inpainter import Inpainter
from lib.models.mae import MaskedAutoencoder
from lib.models.regressor import Regressor

HEADS = {"energy": 1, "uvwFI": 3}
OUTER_MODES = [{}, {"outer_mode": "split", "outer_fine_pool": None}]
# Everything about the encoder that a user can leave out or change, one at a time.
OPTIONS = {
    "fovea_off": {"fovea_side": 0},
    "skip_off": {"physics_skip": False},
    "neither": {"fovea_side": 0, "physics_skip": False},
    "patches": {"inner_patch": 2, "face_patch": 2, "fovea_patch": 2},
    "split": OUTER_MODES[1],
    "geometric": {"face_position": "geometric"},
    "registers": {"num_registers": 3},
}
KINDS = ["regressor", "mae", "inpainter"]
# Tracing takes seconds; the regressor stands for all in a quick run.
TRACED = ["regressor", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])]


def build(kind, settings, normalization):
    if kind == "regressor":
        return Regressor(RegressorModelConfig(**settings, hidden_dim=8), HEADS, normalization)
    if kind == "mae":
        return MaskedAutoencoder(MaeModelConfig(**settings, decoder_dim=8), normalization)
    return Inpainter(InpainterModelConfig(**settings, hidden_dim=8, head_depth=1), normalization)


def inputs(kind, events):
    if kind == "regressor":
        return events
    return *events, torch.rand(len(events[0]), 4760) < 0.5


def total(output):
    values = output.values() if isinstance(output, dict) else [output]
    return sum(value.square().sum() for value in values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outer", [*OUTER_MODES, OPTIONS["registers"]])
def test_gradients_reach_every_weight(kind, outer, tiny, normalization, events) -> None:
    model = build(kind, tiny | outer | {"drop_path_rate": 0.0}, normalization)
    total(model(*inputs(kind, events))).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_without_any_measurement_gives_finite_outputs_and_gradients(kind, tiny, normalization, events) -> None:
    model = build(kind, tiny, normalization)
    nothing = (torch.full_like(events[0], float("nan")), torch.zeros_like(events[1]))
    loss = total(model(*inputs(kind, nothing)))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_in_bfloat16_stays_close_to_float32(kind, tiny, normalization, events) -> None:
    model, batch = build(kind, tiny, normalization).eval(), inputs(kind, events)
    exact = total(model(*batch))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = total(model(*batch))
    # Eight bits of mantissa, several layers deep.
    torch.testing.assert_close(rounded, exact, rtol=0.1, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_encoder_of_any_model_fits_into_the_others(kind, tiny, normalization) -> None:
    donor = build("mae", tiny, normalization)
    encoder = {name: value for name, value in donor.state_dict().items() if name.startswith("encoder.")}
    receiver = build(kind, tiny, normalization)
    missing = receiver.load_state_dict(encoder, strict=False)
    assert missing.unexpected_keys == []
    assert not [name for name in missing.missing_keys if name.startswith("encoder.")]


@pytest.mark.parametrize("kind", ["regressor", "inpainter"])
def test_a_frozen_encoder_neither_learns_nor_fluctuates(kind, tiny, normalization, events) -> None:
    model = build(kind, tiny | {"freeze_encoder": True, "drop_path_rate": 0.5, "num_fusion_layers": 2}, normalization)
    model.train()
    total(model(*inputs(kind, events))).backward()
    assert all((p.grad is None) == name.startswith("encoder.") for name, p in model.named_parameters())
    assert torch.equal(model.encoder(*events), model.encoder(*events))


@pytest.mark.parametrize("kind", KINDS)
def test_a_free_encoder_follows_the_mode_of_the_model(kind, tiny, normalization) -> None:
    model = build(kind, tiny, normalization)
    assert model.train().encoder.training
    assert not model.eval().encoder.training


@pytest.mark.parametrize("kind", ["mae", "inpainter"])
@pytest.mark.parametrize("outer", [{}, *OPTIONS.values()], ids=["default", *OPTIONS])
def test_hidden_sensors_do_not_reach_any_output(kind, outer, tiny, normalization, events, awakened) -> None:
    model = awakened(build(kind, tiny | outer, normalization)).eval()
    x, valid, hidden = inputs(kind, events)
    before = model(x, valid, hidden)
    for value in (0.3, 1e10, float("nan")):
        spoilt = torch.where(hidden[..., None], torch.tensor(value), x)
        assert torch.equal(model(spoilt, valid, hidden), before)
    # Nor does it matter whether a hidden sensor had been measured.
    assert torch.equal(model(x, valid | hidden[..., None], hidden), before)


@pytest.mark.parametrize("kind", TRACED)
def test_the_model_compiles_as_one_graph(kind, tiny, normalization, events) -> None:
    model, batch = build(kind, tiny, normalization).eval(), inputs(kind, events)
    # This backend runs what the tracer saw, without a compiler; a graph break raises.
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(total(compiled(*batch)), total(model(*batch)))


@pytest.mark.parametrize("kind", TRACED)
def test_batches_of_any_size_export(kind, tiny, normalization, events) -> None:
    model, batch = build(kind, tiny, normalization).eval(), inputs(kind, events)
    size = torch.export.Dim("batch", min=1, max=4096)
    program = torch.export.export(model, batch, dynamic_shapes=tuple({0: size} for _ in batch))
    one = tuple(tensor[:1] for tensor in batch)
    torch.testing.assert_close(total(program.module()(*one)), total(model(*one)))


@pytest.mark.slow
@pytest.mark.parametrize("option", [{}, *OPTIONS.values()], ids=["default", *OPTIONS])
def test_an_onnx_file_gives_the_same_numbers(option, tiny, normalization, events, tmp_path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model, path = build("regressor", tiny | option, normalization).eval(), tmp_path / "model.onnx"
    size = torch.export.Dim("batch", min=1, max=4096)
    with warnings.catch_warnings():
        # The exporter's own deprecations are not ours to mend.
        warnings.simplefilter("ignore")
        torch.onnx.export(model, events, path, dynamo=True, dynamic_shapes=({0: size}, {0: size}), verbose=False)
    session = onnxruntime.InferenceSession(path)
    for rows in (1, 3):
        feed = {entry.name: tensor[:rows].numpy() for entry, tensor in zip(session.get_inputs(), events, strict=True)}
        for got, expected in zip(session.run(None, feed), model(*events).values(), strict=True):
            np.testing.assert_allclose(got, expected[:rows].detach().numpy(), rtol=1e-4, atol=1e-6)
