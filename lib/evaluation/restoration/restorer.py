"""Models and conventional methods that restore dead channels, behind one call: readings in, readings out."""

from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from lib.baselines.dead_channels import DeadChannelMethod, Restored, restore_dead_channels
from lib.data.branches import NO_VALUE, NPHO, TIME
from lib.data.normalization import Normalization
from lib.errors import CheckpointError
from lib.geometry.coordinates import BoolArray
from lib.geometry.sensors import FloatArray
from lib.models.inpainter import Inpainter
from lib.models.mae import MaskedAutoencoder
from lib.models.regressor import Regressor
from lib.tasks.restore import TrainedModel, load_trained

EVENTS_AT_A_TIME = 64


class Restorer(Protocol):
    """Restores dead channels of raw readings."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def restore(self, npho: FloatArray, time: FloatArray, dead: BoolArray) -> Restored:
        """Return readings with the dead channels filled in, for arrays of shape (n, 4760); others stay as they are."""
        ...


class ConventionalRestorer:
    """A conventional method.

    Args:
        method: Which one.
    """

    def __init__(self, method: DeadChannelMethod) -> None:
        self.name: str = method
        self._method: DeadChannelMethod = method

    def restore(self, npho: FloatArray, time: FloatArray, dead: BoolArray) -> Restored:
        """See ``Restorer``."""
        return restore_dead_channels(npho, time, dead, self._method)


class ModelRestorer:
    """A trained inpainter, or a masked autoencoder, which takes dead sensors for hidden ones.

    Attributes:
        name: What tables call it.
        input_branches: Branches of photon counts and times that it was trained on.

    Args:
        model: In evaluation mode.
        normalization: Of its inputs.
        device: Where it computes.
        input_branches: See above.
    """

    def __init__(
        self,
        model: Inpainter | MaskedAutoencoder,
        normalization: Normalization,
        device: torch.device,
        input_branches: tuple[str, str] = (NPHO, TIME),
    ) -> None:
        self.name = "inpainter" if isinstance(model, Inpainter) else "mae"
        self.input_branches = input_branches
        self._model = model.to(device)
        self._normalization = normalization
        self._device = device

    @torch.inference_mode()
    def restore(self, npho: FloatArray, time: FloatArray, dead: BoolArray) -> Restored:
        """See ``Restorer``; a model of photons alone leaves dead channels without a time."""
        dead = np.broadcast_to(dead, npho.shape)
        ranges = [slice(first, first + EVENTS_AT_A_TIME) for first in range(0, len(npho), EVENTS_AT_A_TIME)]
        parts = [self._restore(npho[rows], time[rows], dead[rows]) for rows in ranges]
        return Restored(np.concatenate([part.npho for part in parts]), np.concatenate([part.time for part in parts]))

    def _restore(self, npho: FloatArray, time: FloatArray, dead: BoolArray) -> Restored:
        readings = [torch.tensor(values, dtype=torch.float32, device=self._device) for values in (npho, time)]
        is_dead = torch.tensor(dead, device=self._device)
        said = self._model(*self._normalization.apply(*readings), is_dead).float()
        photons = self._normalization.inverse_npho(said[..., 0])
        seconds = torch.full_like(photons, NO_VALUE)
        if self._model.num_channels > 1:
            seconds = self._normalization.inverse_time(said[..., 1])
        return Restored(np.where(dead, photons.cpu().numpy(), npho), np.where(dead, seconds.cpu().numpy(), time))


def open_restorer(path: Path, device: torch.device) -> ModelRestorer:
    """Return the inpainter or masked autoencoder of a checkpoint.

    Raises:
        CheckpointError: If it is neither.
    """
    return restorer_of(load_trained(path), path, device)


def restorer_of(trained: TrainedModel, source: Path, device: torch.device) -> ModelRestorer:
    """Return a trained model as a restorer.

    Raises:
        CheckpointError: If it is no inpainter and no masked autoencoder.
    """
    kind, model = trained.checkpoint.kind, trained.model
    if isinstance(model, Regressor):
        raise CheckpointError(f"{source}: holds the model of a {kind} training; expected an inpainter or an MAE.")
    branches = trained.checkpoint.about["branches"]
    return ModelRestorer(model, trained.normalization, device, (branches["npho"], branches["time"]))
