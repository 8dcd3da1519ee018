"""The training loop."""

import math

import pytest
import torch

from lib.errors import ConfigError
from lib.training.position import Progress
from lib.training.stability.skip_ledger import SkipCapError
from tests.training.toy import ToyObserver, ToyStream, toy_trainer, weights_of


def run(trainer, epochs):  # type: ignore[no-untyped-def]
    return [trainer.run_epoch() for _ in range(epochs)]


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_training_lowers_the_loss() -> None:
    epochs = run(toy_trainer(epochs=10), 10)
    assert epochs[-1]["val/loss"] < 0.3 * epochs[0]["val/loss"]


def test_layer_decay_reaches_the_optimizer() -> None:
    with pytest.raises(ConfigError, match=r"training\.layer_decay"):
        toy_trainer(layer_decay=0.5)


def test_the_same_seed_gives_the_same_weights_bit_for_bit() -> None:
    first, second = toy_trainer(), toy_trainer()
    run(first, 2)
    run(second, 2)
    assert_equal(weights_of(first), weights_of(second))


def test_two_and_two_resumed_epochs_equal_four() -> None:
    straight = toy_trainer()
    run(straight, 4)
    interrupted = toy_trainer()
    run(interrupted, 2)
    resumed = toy_trainer()
    state = interrupted.state()
    resumed.model.load_state_dict(state["model"])
    resumed.optimizer.load_state_dict(state["optimizer"])
    assert resumed.average is not None
    resumed.average.load_state_dict(state["average"])
    resumed.progress = Progress(**vars(interrupted.progress))
    run(resumed, 2)
    assert_equal(weights_of(straight), weights_of(resumed))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_a_bad_batch_drops_its_whole_window_and_changes_nothing(value: float, position: int) -> None:
    clean = toy_trainer(ToyStream(4), grad_accum_steps=4)
    run(clean, 1)
    before = weights_of(clean)
    # The second epoch has one step only, and one of its four batches is bad.
    clean._train = ToyStream(4, poisoned=(position,), value=value)
    with pytest.raises(SkipCapError, match="all 1 steps"):
        clean.run_epoch()
    assert_equal(before, weights_of(clean))


def test_a_bad_batch_is_skipped_counted_and_left_out_of_the_loss() -> None:
    metrics = run(toy_trainer(ToyStream(8, poisoned=(3,))), 1)[0]
    assert metrics["skipped_steps"] == 1
    assert math.isfinite(metrics["train/loss"])
    assert math.isfinite(metrics["val/loss"])
    assert 0 < metrics["grad_norm_max"] < math.inf


def test_an_epoch_of_bad_batches_is_no_success() -> None:
    trainer = toy_trainer(ToyStream(2, poisoned=(0, 1)))
    with pytest.raises(SkipCapError, match="all 2 steps of the epoch"):
        trainer.run_epoch()


def test_accumulated_small_batches_equal_one_large_batch() -> None:
    """The mean over equal batches of mean gradients is the gradient of the whole."""

    class JoinedStream(ToyStream):
        def epoch(self, epoch: int, first_batch: int = 0):  # type: ignore[no-untyped-def]
            batches = list(super().epoch(epoch))
            for first, second in zip(batches[::2], batches[1::2], strict=True):
                joined = torch.cat([first.x, second.x]), torch.cat([first.y, second.y])
                yield type(first)(*joined)

    joined_stream = JoinedStream(8)
    accumulated = toy_trainer(ToyStream(8), grad_accum_steps=2)
    joined = toy_trainer(joined_stream)
    joined._steps_per_epoch = 4
    # Dropout would draw differently for differently cut batches.
    for trainer in (accumulated, joined):
        trainer.model[2].p = 0.0
    run(accumulated, 1)
    run(joined, 1)
    for name, value in weights_of(accumulated).items():
        torch.testing.assert_close(value, weights_of(joined)[name], rtol=1e-4, atol=1e-6)


def test_validation_uses_the_averaged_weights_and_puts_the_trained_ones_back() -> None:
    trainer = toy_trainer(ema_decay=0.9)
    trained = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    run(trainer, 1)
    now = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    by_average = trainer.validate(0)["val/loss"]
    assert_equal(now, dict(trainer.model.state_dict()))
    assert not torch.equal(trained["0.weight"], now["0.weight"])
    trainer.average = None
    assert trainer.validate(0)["val/loss"] != by_average


def test_observers_see_every_validated_event_and_add_metrics() -> None:
    metrics = run(toy_trainer(observer=ToyObserver()), 1)[0]
    assert metrics["val_events"] == 32
    assert metrics["val_epoch"] == 0


def test_run_metrics_keep_their_bare_name_and_come_from_training() -> None:
    metrics = run(toy_trainer(), 1)[0]
    assert metrics["actual_share"] == 0.5
    assert "val/actual_share" not in metrics


def test_gradients_are_clipped_to_the_ceiling() -> None:
    trainer = toy_trainer(ToyStream(1), grad_clip=1e-3)
    metrics = run(trainer, 1)[0]
    gradients = [parameter.grad for parameter in trainer.model.parameters() if parameter.grad is not None]
    assert metrics["grad_norm_max"] > 1e-2
    assert torch.nn.utils.get_total_norm(gradients) <= 1e-3 * (1 + 1e-5)


def test_more_accumulation_than_batches_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"one step takes 9 batches, but an epoch has 8"):
        toy_trainer(grad_accum_steps=9)


def test_autocast_trains_in_bfloat16() -> None:
    trainer = toy_trainer(amp="bf16")
    seen: list[torch.dtype] = []
    trainer.model[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    run(trainer, 1)
    assert set(seen) == {torch.bfloat16}
    assert trainer.model[0].weight.dtype == torch.float32


def test_trained_and_averaged_weights_are_validated_apart() -> None:
    settings = {"epochs": 3, "ema_decay": 0.99}
    both, averaged, trained = (
        toy_trainer(**settings, validate_trained_weights=True), toy_trainer(**settings),
        toy_trainer(epochs=3, ema_decay=0.0),
    )  # fmt: skip
    for _ in range(3):
        metrics, of_average, of_trained = (trainer.run_epoch() for trainer in (both, averaged, trained))
        assert metrics["val/loss"] == of_average["val/loss"]
        assert metrics["val_trained/loss"] == of_trained["val/loss"] != metrics["val/loss"]
    assert "val_trained/loss" not in of_average
