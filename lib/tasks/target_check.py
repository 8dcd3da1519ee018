"""Whether the settings of a target suit its scale."""

from collections.abc import Iterator

from lib.tasks.config import TaskConfig
from lib.tasks.targets import Target

# Residuals are of the order of a tenth of the target's scale; at these multiples of it one branch of the loss is gone.
_LARGEST_BETA, _SMALLEST_BETA = 1.0, 1e-4
_LOSSES_WITH_BETA = ("smooth_l1", "huber")


def odd_betas(target: Target, settings: TaskConfig) -> Iterator[str]:
    """Yield what is wrong with ``loss_beta``, a sentence for each component.

    Args:
        target: What is learnt.
        settings: Its section.
    """
    beta = settings.loss_beta
    if beta is None or settings.loss_fn not in _LOSSES_WITH_BETA:
        return
    for component, label in enumerate(target.labels):
        scale = target.unit_scale(component)
        if beta > _LARGEST_BETA * scale:
            fate = "the loss is quadratic everywhere, and its gradients vanish"
        elif beta < _SMALLEST_BETA * scale:
            fate = "the loss is linear everywhere, like l1"
        else:
            continue
        yield (
            f"{beta:g} {target.unit} is {beta / scale:.2g} of the scale of {label}, {scale:.3g} {target.unit}: {fate}. "
            f"loss_beta is a residual in {target.unit}; leave it out for {scale / 10:.2g} {target.unit}."
        )
