"""Mirrored events: the detector, and the physics of photons in it, do not change under z -> -z and phi -> -phi."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lib.data import branches
from lib.data.batch import EventBatch
from lib.geometry.mirror import nominal_mirror


class Reflection:
    """Mirrors random events of a batch along z, along phi, or both, each with probability 1/2."""

    def __init__(self) -> None:
        z, phi = nominal_mirror("z"), nominal_mirror("phi")
        # Row 0: as it is; 1: z; 2: phi; 3: both.
        self._sensors = torch.from_numpy(np.stack([np.arange(len(z)), z, phi, z[phi]]))

    def draw(self, batch: EventBatch) -> EventBatch:
        """Return the batch with mirrored events among it; the batch itself stays as it is."""
        num_events, device = batch.num_events, batch.x.device
        flips = torch.rand(2, num_events, device=device) < 0.5
        return self.apply(batch, flip_z=flips[0], flip_phi=flips[1])

    def apply(self, batch: EventBatch, *, flip_z: Tensor, flip_phi: Tensor) -> EventBatch:
        """Return the batch with some events mirrored.

        Args:
            batch: Events.
            flip_z: True for the events whose z changes sign, shape (B,).
            flip_phi: True for the events whose phi changes sign, shape (B,).
        """
        if self._sensors.device != batch.x.device:
            self._sensors = self._sensors.to(batch.x.device)
        sensors = self._sensors[flip_z.long() + 2 * flip_phi.long()][..., None].expand_as(batch.x)
        signs = tuple(1.0 - 2.0 * flip.float() for flip in (flip_z, flip_phi))
        truth = {name: mirrored_truth(name, values, *signs) for name, values in batch.truth.items()}
        return replace(batch, x=batch.x.gather(1, sensors), valid=batch.valid.gather(1, sensors), truth=truth)


def mirrored_truth(branch: str, values: Tensor, sign_z: Tensor, sign_phi: Tensor) -> Tensor:
    """Return the truth of mirrored events, shape (B, width).

    Args:
        branch: Name of the truth branch.
        values: Truth of the events as they were, shape (B, width).
        sign_z: -1 for events mirrored along z, else 1; shape (B,).
        sign_phi: The same for phi.
    """
    same = torch.ones_like(sign_z)
    match branch:
        case branches.UVW:
            return values * torch.stack([sign_z, sign_phi, same], dim=1)
        case branches.XYZ | branches.VERTEX | branches.EMISSION_VECTOR:
            return values * torch.stack([same, sign_phi, sign_z], dim=1)
        case branches.EMISSION_ANGLE:
            theta, phi = values.unbind(dim=1)
            return torch.stack([torch.where(sign_z < 0, 180.0 - theta, theta), sign_phi * phi], dim=1)
    return values
