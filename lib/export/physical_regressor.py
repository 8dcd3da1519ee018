"""The function that is exported: from sensor readings to physical quantities."""

from collections.abc import Sequence

from torch import Tensor, nn

from lib.data.normalization import Normalization
from lib.models.regressor import Regressor
from lib.tasks.targets import Target


class PhysicalRegressor(nn.Module):
    """A regressor between its normalization and the inverse of its targets' transforms.

    Args:
        regressor: Predicts scaled targets; heads of other targets are left out of the graph.
        normalization: Transform of its inputs.
        targets: What is predicted, in the order of the outputs.
    """

    def __init__(self, regressor: Regressor, normalization: Normalization, targets: Sequence[Target]) -> None:
        super().__init__()
        self.regressor = regressor
        self.normalization = normalization
        self.targets = tuple(targets)

    def forward(self, npho: Tensor, time: Tensor) -> tuple[Tensor, ...]:
        """Return the predictions.

        Args:
            npho: Photons per sensor, shape (B, 4760), float32; more than 9e9 or not finite is no value.
            time: Seconds per sensor, shape (B, 4760), float32; beyond +-9e9 or not finite is no value.

        Returns:
            For each target, shape (B, width), in its unit.
        """
        scaled = self.regressor(*self.normalization.apply(npho, time))
        return tuple(target.to_physical(scaled[target.name]) for target in self.targets)
