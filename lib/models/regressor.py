"""The regressor: encoder and one head per task."""

from collections.abc import Mapping, Sequence
from typing import Final

from torch import Tensor, nn

from lib.data.normalization import Normalization
from lib.models.anchors import ANCHORS, TargetScale
from lib.models.config import RegressorModelConfig
from lib.models.encoder_model import EncoderModel
from lib.models.heads import RegressionHead
from lib.models.loss_balance import LossBalance
from lib.models.output_correction import OutputCorrection
from lib.nn.initialization import initialize, shrink_outputs

BALANCE_PREFIX: Final = "log_size_"
"""Prefix of a task's name under which its learnt loss weight stands among the predictions."""


class Regressor(EncoderModel):
    """Predicts the quantities of several tasks from one event.

    Attributes:
        correction: What is to be done to the outputs in physical units; no part of ``forward``.

    Args:
        config: Its settings.
        head_dims: Numbers that each task predicts, by task name.
        normalization: The transform that made the inputs.
        balanced_tasks: Tasks whose loss weights are learnt.
        scales: How the heads of tasks that have an anchor speak of physical values; the others learn theirs from
            nothing. Not used without ``physics_skip``.
    """

    def __init__(
        self,
        config: RegressorModelConfig,
        head_dims: Mapping[str, int],
        normalization: Normalization,
        *,
        balanced_tasks: Sequence[str] = (),
        scales: Mapping[str, TargetScale] | None = None,
    ) -> None:
        super().__init__(config, normalization, freeze=config.freeze_encoder)
        num_tokens = len(self.encoder.token_faces)
        num_features = self.encoder.num_features
        self.scales = {name: scale for name, scale in (scales or {}).items() if name in ANCHORS}
        self.heads = nn.ModuleDict(
            {
                name: RegressionHead(num_tokens, config.encoder_dim, config.hidden_dim, out_dim, num_features)
                for name, out_dim in head_dims.items()
            }
        )
        self.balance = LossBalance(balanced_tasks) if balanced_tasks else None
        self.correction = OutputCorrection(head_dims)
        initialize(self)
        # Predictions start near zero, so that the first steps do not shake the encoder.
        shrink_outputs(self.heads.values())

    def forward(self, x: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Return the predictions of each task.

        Args:
            x: Normalized npho and time, shape (B, 4760, 2).
            valid: True where a value was measured, shape (B, 4760, 2).

        Returns:
            By task name, shape (B, numbers of its head); and for each task with a learnt loss weight the logarithm of
            the size of its loss, a scalar. It is among the outputs because the gradients of distributed training and
            of a compiled model come from what the forward pass uses.
        """
        tokens, summary = self.encoder.encode(x, valid)
        if summary is None:
            said = {name: head(tokens) for name, head in self.heads.items()}
        else:
            anchors = {name: ANCHORS[name](summary).scaled(scale) for name, scale in self.scales.items()}
            said = {name: head(tokens, summary.features, anchors.get(name)) for name, head in self.heads.items()}
        if self.balance is not None:
            said |= {BALANCE_PREFIX + name: size for name, size in self.balance().items()}
        return said
