"""Whether a model can learn anything, and whether it knows what it cannot know."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import nn

from lib.data.batch import EventBatch
from lib.tasks.constant_predictor import TruthMean
from lib.tasks.trial import Trial, Verdict, score
from lib.training.optimizer import build_optimizer

OVERFIT_EVENTS = 8
OVERFIT_STEPS = 300
OVERFIT_RATE = 1e-3
# Of the error of a constant, for eight events that are learnt by heart; of the first loss where there is noise in the
# targets themselves, and a guess from the neighbours to begin with.
LEARNT_RATIO, LEARNT_LOSS = 0.3, 0.9
# A mean over some hundred events is not the best constant of the absolute error, by a few percent.
CONSTANT_RATIO = 0.9
PERMUTED_STEPS = 20
PERMUTED_EVENTS = 32
# Far below one step of any useful training, far above the rounding of float32 in a sum over all weights.
LEAST_CHANGE = 1e-8


def learning_checks(trial: Trial) -> Iterator[Verdict]:
    """Yield what short trainings show."""
    yield overfit_one_batch(trial)
    yield learning_rate_moves(trial)
    if trial.targets:
        yield zero_input(trial)
        yield permuted_labels(trial)


def overfit_one_batch(trial: Trial) -> Verdict:
    """Learn eight events by heart."""
    batch = trial.train.rows(0, OVERFIT_EVENTS)
    model = trial.build().eval()
    losses: list[float] = []
    for loss in _descend(trial, model, batch, OVERFIT_STEPS, until=lambda: _is_learnt(trial, model, batch, losses)):
        losses.append(loss)  # noqa: PERF402 - whether enough is learnt is asked while it fills
    first, last = losses[0], losses[-1]
    if trial.targets:
        number, limit = _constant_ratio(trial, model, batch), LEARNT_RATIO
        what = "error over that of a constant"
    else:
        number, limit = (last / first if first else float("nan")), LEARNT_LOSS
        what = "final over first loss"
    words = (
        f"{what}, {OVERFIT_EVENTS} events learnt by heart in {len(losses)} steps (loss {first:.4g} to {last:.4g}); "
        f"expected below {limit}. If not, inputs or gradients do not arrive."
    )
    return Verdict("overfit one batch", number < limit, number, words)


def learning_rate_moves(trial: Trial) -> Verdict:
    """Take one step with the largest learning rate of the schedule."""
    model = trial.build().train()
    optimizer = trial.build_optimizer(model)
    before = [parameter.detach().clone() for parameter in _trainable(model)]
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] and max(trial.learning_rates)
    score(trial, model, trial.train.rows(0, OVERFIT_EVENTS)).loss.backward()
    optimizer.step()
    pairs = zip(_trainable(model), before, strict=True)
    moved = sum(float((now.detach() - then).square().sum()) for now, then in pairs)
    size = sum(float(then.square().sum()) for then in before)
    number = (moved / size) ** 0.5 if size else 0.0
    words = (
        f"relative change of the weights in one step at the largest learning rate, {max(trial.learning_rates):.3g}; "
        f"expected above {LEAST_CHANGE:g}. If not, the learning rate or the optimizer stands still."
    )
    return Verdict("learning rate", number > LEAST_CHANGE, number, words)


def zero_input(trial: Trial) -> Verdict:
    """Predict held-out events whose sensors all are empty."""
    batch, model = trial.held_out, _fitted(trial, trial.train.rows(0, PERMUTED_EVENTS))
    empty = replace(batch, x=torch.zeros_like(batch.x), valid=torch.zeros_like(batch.valid))
    number = _constant_ratio(trial, model, empty)
    words = (
        f"best error over that of a constant for events without any light; expected above {CONSTANT_RATIO}. If not, "
        "the truth reaches the predictions without the sensors."
    )
    return Verdict("zero input", number > CONSTANT_RATIO, number, words)


def permuted_labels(trial: Trial) -> Verdict:
    """Learn a few events with the truth of others, and predict held-out events with the truth of others."""
    model = _fitted(trial, _permuted(trial.train.rows(0, PERMUTED_EVENTS)))
    number = _constant_ratio(trial, model, _permuted(trial.held_out))
    words = (
        f"best error over that of a constant on held-out events that have the truth of others; expected above "
        f"{CONSTANT_RATIO}. If not, the truth reaches the predictions by another way than the sensors."
    )
    return Verdict("permuted labels", number > CONSTANT_RATIO, number, words)


def _permuted(batch: EventBatch) -> EventBatch:
    """Return the batch with the truth of each event moved to the next; every event has a wrong one."""
    return replace(batch, truth={name: values.roll(1, dims=0) for name, values in batch.truth.items()})


def _fitted(trial: Trial, batch: EventBatch) -> nn.Module:
    model = trial.build().eval()
    for _ in _descend(trial, model, batch, PERMUTED_STEPS, until=lambda: False):
        pass
    return model


def _descend(
    trial: Trial, model: nn.Module, batch: EventBatch, steps: int, *, until: Callable[[], bool]
) -> Iterator[float]:
    """Train on one batch, without dropout and decay, and yield the loss before each step."""
    if not _trainable(model):
        yield float(score(trial, model, batch).loss)
        return
    optimizer = build_optimizer(model, lr=OVERFIT_RATE, weight_decay=0.0)
    for step in range(steps):
        optimizer.zero_grad()
        loss = score(trial, model, batch).loss
        yield float(loss.detach())
        if not loss.requires_grad:
            return
        loss.backward()
        nn.utils.clip_grad_norm_(_trainable(model), 1.0)
        optimizer.step()
        if step % 20 == 19 and until():
            return


def _is_learnt(trial: Trial, model: nn.Module, batch: EventBatch, losses: list[float]) -> bool:
    if not trial.targets:
        return losses[-1] < 0.5 * losses[0]
    return _constant_ratio(trial, model, batch, worst=True) < 0.8 * LEARNT_RATIO


@torch.no_grad()
def _constant_ratio(trial: Trial, model: nn.Module, batch: EventBatch, *, worst: bool | None = None) -> float:
    """Return error over a constant's error: of the worst target while learning by heart, of the best otherwise."""
    constant = TruthMean(trial.targets)
    constant.add(batch, score(trial, model, batch))
    ratios = constant.ratios().values() or [float("nan")]
    is_worst = batch.num_events == OVERFIT_EVENTS if worst is None else worst
    return max(ratios) if is_worst else min(ratios)


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
