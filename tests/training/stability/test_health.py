"""Whether anything is learnt."""

import logging
import math

import pytest
import torch

from lib.training.protocol import StepOutput
from lib.training.stability.health import LearningHealth, UnhealthyError, dead_units, effective_rank
from lib.training.stability.health_config import HealthConfig
from tests.training.toy import ToyBatch, ToyStream, toy_trainer

EVENTS, TOKENS, UNITS = 4096, 3, 16


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_an_embedding_that_fills_all_directions_has_full_rank() -> None:
    # Singular values of 12288 random rows differ by 2 sqrt(16 / 12288) = 7 %: entropy falls short by some 0.1 %.
    assert effective_rank(noise(EVENTS, TOKENS, UNITS)) == pytest.approx(UNITS, rel=2e-3)


@pytest.mark.parametrize("directions", [1, 2, 5])
def test_the_rank_counts_directions(directions: int) -> None:
    basis, _ = torch.linalg.qr(noise(UNITS, UNITS, seed=1))
    tokens = noise(EVENTS, TOKENS, directions) @ basis[:directions]
    assert effective_rank(tokens) == pytest.approx(directions, rel=2e-3)


def test_what_tells_tokens_apart_but_not_events_is_no_variation() -> None:
    place = 100.0 * noise(1, TOKENS, UNITS, seed=2)
    line = noise(EVENTS, 1, 1) * torch.ones(1, TOKENS, UNITS)
    assert effective_rank(place + line) == pytest.approx(1.0, rel=1e-3)


def test_an_embedding_that_never_changes_has_the_smallest_rank_and_only_dead_units() -> None:
    tokens = torch.ones(64, TOKENS, UNITS)
    assert effective_rank(tokens) == 1.0
    assert dead_units(tokens) == 1.0


def test_units_that_do_not_vary_are_dead() -> None:
    tokens = noise(256, TOKENS, UNITS)
    tokens[..., :4] = 0.7
    assert dead_units(tokens) == 4 / UNITS


class Ratios:
    def __init__(self, **ratios: float) -> None:
        self.batches = 0
        self._ratios = ratios

    def add(self, batch: ToyBatch, output: StepOutput) -> None:
        self.batches += 1

    def ratios(self) -> dict[str, float]:
        return self._ratios


def look(tokens: torch.Tensor, constant: Ratios, epoch: int = 1, **settings: object) -> LearningHealth[ToyBatch]:
    config = HealthConfig.model_validate(settings)
    health = LearningHealth[ToyBatch](config, lambda batch: tokens, constant)
    health.validation_batch(*one_batch())
    health.metrics = health.validation_end(epoch)  # type: ignore[attr-defined]
    return health


def one_batch() -> tuple[ToyBatch, StepOutput]:
    return next(ToyStream().epoch(0)), StepOutput(torch.tensor(0.0), {})


def test_a_sound_model_gives_metrics_and_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    health = look(noise(64, TOKENS, UNITS), Ratios(energy=0.2, uvwFI=0.4), stop=True)
    metrics = health.metrics  # type: ignore[attr-defined]
    assert metrics["val/loss_over_constant"] == metrics["val/loss_over_constant_uvwFI"] == 0.4
    assert metrics["val/effective_rank"] > 10
    assert metrics["val/dead_units"] == 0
    health.require_health()
    assert caplog.text == ""


COLLAPSED = torch.ones(64, TOKENS, UNITS) + noise(64, 1, 1)


@pytest.mark.parametrize(
    ("tokens", "ratio", "told"),
    [
        (COLLAPSED, 0.2, "varies along 1.0 of 16 directions only: all events look alike to the encoder"),
        (noise(64, TOKENS, UNITS) * (torch.arange(UNITS) < 6), 0.2, "62% of the embedding's 16 units are the same"),
        (noise(64, TOKENS, UNITS), 1.02, "energy: the error is 1.02 times that of a constant prediction"),
        (noise(64, TOKENS, UNITS), math.nan, "energy: the error is nan times"),
    ],
)
def test_what_is_not_learnt_is_told_in_words_and_may_end_the_run(
    tokens: torch.Tensor, ratio: float, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    health = look(tokens, Ratios(energy=ratio), stop=True)
    assert [told in fault for fault in health.faults] == [True]
    assert told in caplog.text
    with pytest.raises(UnhealthyError, match=told.split(" of ", maxsplit=1)[0]):
        health.require_health()
    look(tokens, Ratios(energy=ratio)).require_health()


def test_the_first_epochs_are_given_time() -> None:
    assert look(COLLAPSED, Ratios(), epoch=1, after_epochs=3).faults == []
    assert len(look(COLLAPSED, Ratios(), epoch=2, after_epochs=3).faults) == 1


def test_only_the_first_events_are_looked_at() -> None:
    constant = Ratios(energy=0.5)
    health = LearningHealth[ToyBatch](HealthConfig(events=20), lambda batch: noise(16, TOKENS, UNITS), constant)
    for _ in range(5):
        health.validation_batch(*one_batch())
    # Two batches of 16 hold the first twenty.
    assert constant.batches == 2
    health.validation_end(0)
    health.validation_batch(*one_batch())
    assert constant.batches == 3


def test_a_training_shows_its_health_among_its_metrics(caplog: pytest.LogCaptureFixture) -> None:
    trainer = toy_trainer()
    layer = trainer.model[:2]
    trainer._observers = [LearningHealth[ToyBatch](HealthConfig(), lambda one: layer(one.x)[:, None], Ratios(a=0.1))]
    with caplog.at_level(logging.WARNING):
        metrics = trainer.run_epoch()
    assert 1.0 < metrics["val/effective_rank"] <= 8.0
    assert metrics["val/loss_over_constant_a"] == 0.1
