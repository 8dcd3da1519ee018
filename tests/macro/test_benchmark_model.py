"""The benchmark of the models."""

import json

import pytest

from macro import benchmark_model

TINY = [
    "model.stage_dims=[16, 16]",
    "model.stage_depths=[1, 1]",
    "model.inner_patch=4",
    "model.encoder_dim=16",
    "model.num_heads=2",
    "model.dim_feedforward=16",
    "model.num_fusion_layers=1",
]


@pytest.mark.parametrize("kind", benchmark_model.KINDS)
def test_both_forms_agree_and_keep_what_is_counted(kind: str) -> None:
    config = benchmark_model.configuration(kind, "quickstart", TINY)
    batch = benchmark_model.random_batch(config, 2, "cpu")
    own, plain = (benchmark_model.Candidate.of(config, batch, "cpu", "fp32", plain=form) for form in (False, True))
    assert benchmark_model.difference_row(kind, own, plain).value < 1e-5
    assert benchmark_model.flops_per_event(own) == pytest.approx(benchmark_model.flops_per_event(plain), rel=0.2)
    assert benchmark_model.saved_bytes_per_event(own) > 1e5


def test_rows_have_the_names_that_others_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark_model, "peak_tflops", lambda device, dtype, clock: 1.0)
    tiny = benchmark_model.configuration("mae", "quickstart", TINY)
    monkeypatch.setattr(benchmark_model, "configuration", lambda kind, preset, assignments: tiny)
    monkeypatch.setattr(benchmark_model, "first_step_row", lambda: benchmark_model.BenchmarkRow("first_step_s", 1, "s"))
    benchmark_model.main(["--models", "mae", "--batch", "2", "--seconds", "0", "--json", "--preset", "quickstart"])
    rows = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    rates = {f"{what}.mae.{precision}" for what in ("train", "forward") for precision in ("fp32", "bf16")}
    others = {"max_difference.mae", "saved_bytes.mae.bf16", "first_step_s"}
    assert set(rows) == rates | {f"peak_fraction.{name}" for name in rates} | others
    assert all(rows[name]["ratio"] > 0 for name in rates)
    assert rows["train.mae.fp32"]["context"]["clock"] == "cpu"
