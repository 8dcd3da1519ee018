"""The regressor: encoder and one head per task."""

from collections.abc import Mapping

from torch import Tensor, nn

from lib.data.normalization import Normalization
from lib.models.config import RegressorModelConfig
from lib.models.encoder_model import EncoderModel
from lib.models.heads import RegressionHead
from lib.nn.initialization import initialize, shrink_outputs


class Regressor(EncoderModel):
    """Predicts the quantities of several tasks from one event.

    Args:
        config: Its settings.
        head_dims: Numbers that each task predicts, by task name.
        normalization: The transform that made the inputs.
    """

    def __init__(
        self, config: RegressorModelConfig, head_dims: Mapping[str, int], normalization: Normalization
    ) -> None:
        super().__init__(config, normalization, freeze=config.freeze_encoder)
        num_tokens = len(self.encoder.token_faces)
        self.heads = nn.ModuleDict(
            {
                name: RegressionHead(num_tokens, config.encoder_dim, config.hidden_dim, out_dim)
                for name, out_dim in head_dims.items()
            }
        )
        initialize(self)
        # Predictions start near zero, so that the first steps do not shake the encoder.
        shrink_outputs(self.heads.values())

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
