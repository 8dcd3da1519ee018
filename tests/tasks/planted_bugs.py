"""Mistakes that people make, each planted into a sound training."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from lib.data.batch import EventBatch
from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.geometry.sensors import nominal_sensors
from lib.models.config import MaeModelConfig, RegressorModelConfig
from lib.models.encoder import FaceEncoder
from lib.models.mae import MaskedAutoencoder
from lib.models.regressor import Regressor
from lib.models.sensor_inputs import RectangularImage
from lib.tasks.config import TasksConfig
from lib.tasks.regression import RegressionTask
from lib.tasks.restoration import RestorationTask
from lib.tasks.restoration_config import RestorationTrainingConfig
from lib.tasks.targets import head_scales
from lib.tasks.trial import Trial
from lib.training.optimizer import build_optimizer
from lib.training.random_state import seed_initialization

MODEL: dict[str, Any] = {
    "stage_dims": (4, 8),
    "stage_depths": (1, 1),
    "inner_patch": 4,
    "face_patch": 2,
    "encoder_dim": 16,
    "num_heads": 2,
    "dim_feedforward": 16,
    "num_fusion_layers": 1,
    "fovea_patch": 3,
    "fovea_dims": (4, 8),
    "drop_path_rate": 0.0,
}
NORMALIZATION = Normalization.from_config(NormalizationConfig(npho_scheme="sqrt"))


@cache
def make_batch(count: int, seed: int) -> EventBatch:
    """Points of light in the xenon: each sensor sees its solid angle, at the time the light takes."""
    draw = torch.Generator().manual_seed(seed)
    sensors = torch.tensor(nominal_sensors().positions, dtype=torch.float32)
    normals = torch.tensor(nominal_sensors().normals, dtype=torch.float32)
    z, phi = 46 * torch.rand(count, generator=draw) - 23, 1.8 * torch.rand(count, generator=draw) - 0.9
    depth = 1 + 15 * torch.rand(count, generator=draw)
    radius = 64.97 + depth
    point = torch.stack([-radius * phi.cos(), radius * phi.sin(), z], dim=1)
    energy = 0.015 + 0.045 * torch.rand(count, 1, generator=draw)
    start = 2e-8 * (torch.rand(count, 1, generator=draw) - 0.5)
    way = point[:, None] - sensors
    distance = way.norm(dim=2).clamp_min(1.0)
    seen = (way * normals).sum(dim=2).clamp_min(0.0) / distance**3
    npho = torch.poisson(2e7 * energy * seen + 1.0, generator=draw)
    time = start + distance / 1.2e10 + 5e-10 * torch.randn(count, 4760, generator=draw)
    x, valid = NORMALIZATION.apply(npho, time)
    return EventBatch(
        x=x,
        valid=valid,
        truth={
            "energyTruth": energy,
            "timeTruth": start,
            "uvwTruth": torch.stack([z, 64.97 * phi, depth], dim=1),
        },
        run=torch.zeros(count, dtype=torch.int64),
        event=torch.arange(count),
        weight=torch.ones(count),
        seed=seed,
    )


def sound_regressor(seed: int) -> Trial:
    tasks = TasksConfig.model_validate({"energy": {}, "timing": {}, "uvwFI": {}})
    task = RegressionTask(tasks, NORMALIZATION, 0.0)
    config = RegressorModelConfig.model_validate({**MODEL, "hidden_dim": 16})

    def build() -> nn.Module:
        seed_initialization(seed)
        heads = {target.name: target.head_width for target in task.targets}
        return Regressor(config, heads, NORMALIZATION, scales=head_scales(task.targets))

    return _trial(build, task, seed, targets=task.targets)


def sound_autoencoder(seed: int) -> Trial:
    task = RestorationTask(0.6, 2, NORMALIZATION, RestorationTrainingConfig())
    config = MaeModelConfig.model_validate({**MODEL, "decoder_dim": 8})

    def build() -> nn.Module:
        seed_initialization(seed)
        return MaskedAutoencoder(config, NORMALIZATION)

    return _trial(build, task, seed, targets=())


def _trial(build: Callable[[], nn.Module], task: Any, seed: int, *, targets: Any) -> Trial:
    return Trial(
        build=build,
        task=task,
        targets=targets,
        train=make_batch(96, 2 * seed),
        held_out=make_batch(64, 2 * seed + 1),
        normalization=NORMALIZATION,
        build_optimizer=lambda model: build_optimizer(model, lr=1e-3, weight_decay=0.0),
        learning_rates=[1e-5, 1e-3, 1e-6],
    )


def _changed_model(change: Callable[[nn.Module], None]) -> Callable[[Trial], Trial]:
    def plant(trial: Trial) -> Trial:
        def build() -> nn.Module:
            model = trial.build()
            change(model)
            return model

        return replace(trial, build=build)

    return plant


def labels_shuffled(trial: Trial) -> Trial:
    order = torch.randperm(trial.train.num_events, generator=torch.Generator().manual_seed(1))
    return replace(
        trial, train=replace(trial.train, truth={name: one[order] for name, one in trial.train.truth.items()})
    )


def inputs_zeroed(trial: Trial) -> Trial:
    return replace(trial, train=replace(trial.train, x=torch.zeros_like(trial.train.x)))


def _detach_head(model: nn.Module) -> None:
    assert isinstance(model, Regressor)
    model.heads["energy"].register_forward_pre_hook(lambda _, given: (given[0].detach(), *given[1:]))


def _freeze_encoder(model: nn.Module) -> None:
    assert isinstance(model, Regressor)
    model.encoder.requires_grad_(False)


def wrong_norm(trial: Trial) -> Trial:
    """The loader was given another scale than the model."""
    other = Normalization.from_config(NormalizationConfig(npho_scheme="sqrt", npho_scale=1.0))
    npho = trial.normalization.inverse_npho(trial.train.x[..., 0])
    x = torch.stack([other.apply(npho, npho)[0][..., 0], trial.train.x[..., 1]], dim=-1)
    return replace(trial, train=replace(trial.train, x=x), normalization=other)


def leaked_truth(trial: Trial) -> Trial:
    """The truth was written over the sensors with the highest ids."""

    def leak(batch: EventBatch) -> EventBatch:
        x = batch.x.clone()
        x[:, -1, 0] = batch.truth["energyTruth"][:, 0]
        return replace(batch, x=x)

    return replace(trial, train=leak(trial.train), held_out=leak(trial.held_out))


def validation_is_train(trial: Trial) -> Trial:
    return replace(trial, held_out=trial.train.rows(0, 64))


def _kill_units(model: nn.Module) -> None:
    assert isinstance(model, Regressor)
    with torch.no_grad():
        model.heads["uvwFI"].second.layer.bias.fill_(-100.0)  # type: ignore[operator, union-attr]


def _swap_axes(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, FaceEncoder) and isinstance(module.gather, RectangularImage):
            gather = module.gather
            gather.sensor_ids = gather.sensor_ids.unflatten(0, gather.shape).T.flatten()
            # They are no longer in a row.
            gather.run = None
            return


def _leak_target(model: nn.Module) -> None:
    """The mask is drawn but not applied."""

    def show(_: nn.Module, given: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        return given[0], given[1], torch.zeros_like(given[2])

    model.register_forward_pre_hook(show)


def _lose_face(model: nn.Module) -> None:
    """The token of a face does not arrive."""
    assert isinstance(model, Regressor)
    model.encoder.faces["top"].register_forward_hook(lambda *given: torch.zeros_like(given[2]))


def constant_rate_0(trial: Trial) -> Trial:
    return replace(trial, learning_rates=[0.0, 0.0])


BUGS: dict[str, tuple[Callable[[int], Trial], Callable[[Trial], Trial]]] = {
    "labels shuffled": (sound_regressor, labels_shuffled),
    "inputs zeroed": (sound_regressor, inputs_zeroed),
    "detached head": (sound_regressor, _changed_model(_detach_head)),
    "frozen encoder": (sound_regressor, _changed_model(_freeze_encoder)),
    "wrong norm": (sound_regressor, wrong_norm),
    "leaked truth": (sound_regressor, leaked_truth),
    "validation is train": (sound_regressor, validation_is_train),
    "dead units": (sound_regressor, _changed_model(_kill_units)),
    "swapped axes": (sound_regressor, _changed_model(_swap_axes)),
    "mask leaks the target": (sound_autoencoder, _changed_model(_leak_target)),
    "missing face": (sound_regressor, _changed_model(_lose_face)),
    "learning rate 0": (sound_regressor, constant_rate_0),
}
# The check that is there for each of them; others may notice it, too.
NOTICED_BY = {
    "labels shuffled": "labels follow the light",
    "inputs zeroed": "inputs vary",
    "detached head": "gradient of each loss",
    "frozen encoder": "frozen parameters",
    "wrong norm": "normalization of the model",
    "leaked truth": "truth not among inputs",
    "validation is train": "validation is new",
    "dead units": "dead units",
    "swapped axes": "axes of the faces",
    "mask leaks the target": "hidden stays hidden",
    "missing face": "gradient of each module",
    "learning rate 0": "learning rate",
}
