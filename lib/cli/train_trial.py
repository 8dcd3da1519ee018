"""A trial of a configured training: its model, its task, and its first events."""

from dataclasses import replace
from typing import Literal

import torch
from torch import nn

from lib.cli.assembly import assemble
from lib.cli.schemas import MaeConfig, RegressorConfig, TrainingConfiguration
from lib.cli.start_point import initialize
from lib.data.batch import EventBatch
from lib.data.normalization import Normalization
from lib.data.stream import open_stream
from lib.tasks.targets import enabled_targets
from lib.tasks.trial import Trial
from lib.training.machine.device import choose_device
from lib.training.optimizer import build_optimizer
from lib.training.random_state import seed_initialization
from lib.training.schedule import Schedule

TRIED_EVENTS = 256
_SCHEDULE_PLACES = 20


def build_trial(config: TrainingConfiguration) -> Trial:
    """Return the trial of a configuration, with up to 256 events of each split.

    Raises:
        UserError: If files or checkpoints cannot serve.
    """
    normalization = Normalization.from_config(config.normalization)
    device = choose_device(config.training.cpu_threads)

    def build() -> nn.Module:
        seed_initialization(config.training.seed)
        model = assemble(config, normalization).model
        initialize(model, config, normalization)
        return model.to(device)

    task = assemble(config, normalization).task
    train, held_out = (
        _first_events(config, normalization, task.truth_branches, split).to(device) for split in ("train", "validation")
    )
    training = config.training
    return Trial(
        build=build,
        task=task,
        targets=enabled_targets(config.tasks) if isinstance(config, RegressorConfig) else [],
        train=train,
        held_out=held_out,
        normalization=normalization,
        build_optimizer=lambda model: build_optimizer(
            model, lr=training.lr, weight_decay=training.weight_decay, layer_decay=training.layer_decay
        ),
        learning_rates=_learning_rates(config),
        encoder_is_frozen=not isinstance(config, MaeConfig) and config.model.freeze_encoder,
    )


def _first_events(
    config: TrainingConfiguration,
    normalization: Normalization,
    branches: list[str],
    split: Literal["train", "validation"],
) -> EventBatch:
    """Return the first real events of a split as one batch."""
    # Nothing that the configuration says about speed matters here, and no process must outlive the check.
    data = config.data.model_copy(update={"num_workers": 0})
    stream = open_stream(data, normalization, branches, split=split, seed=config.training.seed)
    batches: list[EventBatch] = []
    for batch in stream.epoch(0):
        batches.append(batch.to(torch.device("cpu")))
        if sum(one.num_events for one in batches) >= TRIED_EVENTS:
            break
    return joined(batches)


def joined(batches: list[EventBatch]) -> EventBatch:
    """Return the events of several batches that count, 256 at most, as one batch."""
    real = torch.cat([batch.weight > 0 for batch in batches]).nonzero()[:TRIED_EVENTS, 0]

    def pick(tensors: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat(tensors)[real]

    return replace(
        batches[0],
        x=pick([batch.x for batch in batches]),
        valid=pick([batch.valid for batch in batches]),
        truth={name: pick([batch.truth[name] for batch in batches]) for name in batches[0].truth},
        run=pick([batch.run for batch in batches]),
        event=pick([batch.event for batch in batches]),
        weight=torch.ones(len(real)),
    )


def _learning_rates(config: TrainingConfiguration) -> list[float]:
    """Return the learning rate at places all over a training of a thousand steps an epoch."""
    training, steps = config.training, 1000
    schedule = Schedule(
        kind=training.lr_scheduler,
        peak=training.lr,
        floor=training.lr_min,
        warmup_steps=round(training.rise_epochs * steps),
        total_steps=training.epochs * steps,
    )
    total = training.epochs * steps
    return [schedule.learning_rate(step) for step in range(0, total, max(1, total // _SCHEDULE_PLACES))]
