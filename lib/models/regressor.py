"""The regressor: encoder and one head per task."""

from collections.abc import Mapping

from torch import Tensor, nn

from lib.data.normalization import Normalization
from lib.models.config import RegressorModelConfig
from lib.models.encoder import Encoder
from lib.models.heads import RegressionHead
from lib.nn.initialization import initialize


class Regressor(nn.Module):
    """Predicts the quantities of several tasks from one event.

    Args:
        config: Its settings.
        head_dims: Numbers that each task predicts, by task name.
        normalization: The transform that made the inputs.
    """

    def __init__(
        self, config: RegressorModelConfig, head_dims: Mapping[str, int], normalization: Normalization
    ) -> None:
        super().__init__()
        self.encoder = Encoder(config, normalization)
        num_tokens = len(self.encoder.token_faces)
        self.heads = nn.ModuleDict()
        initialize(self.encoder)
        for name, out_dim in head_dims.items():
            head = RegressionHead(num_tokens, config.encoder_dim, config.hidden_dim, out_dim)
            initialize(head)
            head.shrink_output()
            self.heads[name] = head
        self.encoder_is_frozen = config.freeze_encoder
        self.encoder.requires_grad_(not config.freeze_encoder)

    def train(self, mode: bool = True) -> "Regressor":
        """Set training or evaluation; a frozen encoder always evaluates, so that its tokens do not fluctuate."""
        super().train(mode)
        if self.encoder_is_frozen:
            self.encoder.eval()
        return self

    def forward(self, x: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Return the predictions of each task.

        Args:
            x: Normalized npho and time, shape (B, 4760, 2).
            valid: True where a value was measured, shape (B, 4760, 2).

        Returns:
            By task name, shape (B, width of the task).
        """
        tokens = self.encoder(x, valid)
        return {name: head(tokens) for name, head in self.heads.items()}
