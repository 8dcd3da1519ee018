"""What gradient norms are usual, in a form that a single bad step cannot shift, kept on the device.

Source: the window of recent norms follows OLMo-core's skip step; clipping the moderate outliers follows ZClip
    (arXiv:2504.02507). Median and MAD take the place of mean and variance, which one spike would spoil.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.training.stability.guard_config import GuardConfig

# The standard deviation of a normal distribution is 1.4826 times its median absolute deviation.
_MAD_TO_SIGMA = 1.4826
_SMALLEST_NORM = 1e-30


@dataclass(frozen=True)
class Judgement:
    """What is to be done with one step, as scalars on the device.

    Attributes:
        usual: True if the step may be applied.
        limit: Norm down to which its gradient is scaled; infinite where it stays as it is.
    """

    usual: Tensor
    limit: Tensor


class NormWindow:
    """Judges each gradient norm by those accepted before it; nothing here waits for the device."""

    def __init__(self, config: GuardConfig, device: torch.device) -> None:
        self._config = config
        # NaN marks what is not filled yet; medians pass over it.
        self._window = torch.full((config.window,), math.nan, dtype=torch.float64, device=device)
        self._admitted = torch.zeros((), dtype=torch.int64, device=device)
        self._run = torch.zeros(config.level_shift_steps, dtype=torch.float64, device=device)
        self._run_length = torch.zeros((), dtype=torch.int64, device=device)
        self._slots = torch.arange(config.window, device=device)
        self._infinite = torch.full((), math.inf, dtype=torch.float64, device=device)

    def judge(self, norm: Tensor, finite: Tensor) -> Judgement:
        """Judge one step and take its norm into the statistics if it is accepted.

        Args:
            norm: Gradient norm, scalar.
            finite: True if loss and gradient are finite, scalar; otherwise the statistics stay bit for bit.
        """
        config = self._config
        log_norm = norm.double().clamp(min=_SMALLEST_NORM).log()
        present = self._window_at_present()
        centre = present.nanmedian()
        deviation = _MAD_TO_SIGMA * (present - centre).abs().nanmedian()
        spread = deviation.clamp(config.min_spread, config.max_spread)
        distance = log_norm - centre
        active = self._admitted >= config.active_after
        far = active & (distance > config.skip_sigma * spread) & (distance > math.log(config.skip_factor))
        shifted = self._follow_run(log_norm, far & finite)
        usual = ~far | shifted
        self._admit(log_norm, usual & finite, shifted)
        limit = torch.where(active & ~shifted, (centre + config.clip_sigma * spread).exp(), self._infinite)
        return Judgement(usual, limit)

    def _window_at_present(self) -> Tensor:
        """Return the logarithms of the window, each raised by what it would have grown by up to the present step.

        The growth is that between the medians of the older and of the newer half, if they rise. Without it a loss that
        grows from step to step leaves the median behind, and the largest of its norms pass for spikes.
        """
        config = self._config
        filled = self._admitted.clamp(max=config.window)
        # Steps before the present one; places that were never filled come out as the oldest and hold NaN.
        age = config.window - (self._slots - self._admitted) % config.window
        is_newer = age <= filled // 2
        older = self._window.masked_fill(is_newer, math.nan).nanmedian()
        newer = self._window.masked_fill(~is_newer, math.nan).nanmedian()
        # What rises faster than that is trouble and not drift.
        rise = (newer - older).clamp(0.0, math.log(config.skip_factor))
        return self._window + rise / (0.5 * filled) * age

    def _follow_run(self, log_norm: Tensor, far: Tensor) -> Tensor:
        """Note a step that is far above the others; return True if so many like it in a row are a new level."""
        extended = torch.cat([self._run[1:], log_norm.reshape(1)])
        self._run = torch.where(far, extended, self._run)
        self._run_length = self._run_length + far
        alike = self._run.max() - self._run.min() <= math.log(self._config.level_shift_factor)
        return far & alike & (self._run_length >= self._config.level_shift_steps)

    def _admit(self, log_norm: Tensor, admitted: Tensor, shifted: Tensor) -> None:
        """Put a norm into the window; at a new level the window begins anew with the norms that showed it."""
        config = self._config
        slot = (self._slots == self._admitted % config.window) & admitted
        window = torch.where(slot, log_norm, self._window)
        padding = torch.full_like(window[config.level_shift_steps :], math.nan)
        self._window = torch.where(shifted, torch.cat([self._run, padding]), window)
        self._admitted = torch.where(shifted, config.level_shift_steps, self._admitted + admitted)
        self._run_length = torch.where(admitted, 0, self._run_length)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the statistics."""
        return {
            "window": self._window,
            "admitted": self._admitted,
            "run": self._run,
            "run_length": self._run_length,
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> bool:
        """Go on with statistics that ``state_dict`` returned.

        Returns:
            False, and nothing is changed, if windows are configured to other lengths now.
        """
        own = self.state_dict()
        if {name: value.shape for name, value in state.items()} != {name: value.shape for name, value in own.items()}:
            return False
        device = self._window.device
        self._window, self._admitted = state["window"].to(device), state["admitted"].to(device)
        self._run, self._run_length = state["run"].to(device), state["run_length"].to(device)
        return True
