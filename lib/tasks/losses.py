"""Losses of residuals, element by element."""

import torch.nn.functional as F
from torch import Tensor

from lib.tasks.config import LossName


def elementwise_loss(name: LossName, prediction: Tensor, target: Tensor, beta: float) -> Tensor:
    """Return the loss of each element.

    Args:
        name: smooth_l1 (slope 1 in the tails), huber (slope beta), l1, or mse.
        prediction: Any shape.
        target: Same shape.
        beta: Residual at which smooth_l1 and huber become linear; not used by the others.

    Returns:
        Losses of the same shape, float32 whatever the precision of the prediction.
    """
    prediction, target = prediction.float(), target.float()
    match name:
        case "smooth_l1":
            return F.smooth_l1_loss(prediction, target, beta=beta, reduction="none")
        case "huber":
            return F.huber_loss(prediction, target, delta=beta, reduction="none")
        case "l1":
            return F.l1_loss(prediction, target, reduction="none")
        case "mse":
            return F.mse_loss(prediction, target, reduction="none")
