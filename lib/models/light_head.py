"""The inpainter's head of the light: what a source sends to each sensor, set right by what was measured around it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.data.normalization import Normalization
from lib.geometry.sensors import INNER_SHAPE, NUM_MPPC, NUM_SENSORS
from lib.models.event_summary import EventSummary
from lib.models.light_field import NUM_WAY_FEATURES, PMT_NETWORK_FACTOR, LightField, SensorNetwork, sensor_places
from lib.models.light_neighbours import PmtNeighbours, nearest_mppcs
from lib.models.light_ratios import INNER_WIDTHS, PMT_WIDTHS, InnerRatios, PmtRatios
from lib.models.light_window import LightWindow
from lib.nn.precise import without_autocast

KERNEL = 7
NUM_PATTERNS = 16
NUM_BESIDE = 3
"""Expected light, whether it was measured, and the time of the neighbours."""
NUM_IMAGES = 3
WINDOW_DEPTH = 3
NUM_OF_PAIRS = 12
_EXCESS_SCALE = 60.0
_MOST_EXCESS = 5.0
_LEAST_RATIO = 0.1
_FIRST_WEIGHT = 2.0
_MOST_LOG = 14.0


class LightHead(nn.Module):
    """Restores sensors from the light field of the event and from measured over expected photons around them.

    Starts where the conventional average of light per solid angle ends. Computes in float32: photons range over four
    decades, and a part in 250, what bfloat16 keeps, is not small against what is asked of it.

    Args:
        token_shape: Tokens of an event, and width of each.
        normalization: Of photons.
        dim: Width of the networks.
        depth: Hidden layers of each.
        num_values: 1 for photons, 2 for times, too.
        num_outputs: Numbers predicted per sensor: the values, and as many errors where these are predicted.
        window_side: Side of the event's window around the brightest place.
        num_points: Points from which the light comes.
    """

    nearest_mppc: Tensor

    def __init__(
        self,
        token_shape: tuple[int, int],
        normalization: Normalization,
        *,
        dim: int,
        depth: int,
        num_values: int,
        num_outputs: int,
        window_side: int,
        num_points: int = 1,
    ) -> None:
        super().__init__()
        self.normalization = normalization
        self.num_values = num_values
        self.field = LightField(token_shape, dim=dim, depth=depth, num_points=num_points)
        self.inner_ratios, self.pmt_ratios = InnerRatios(), PmtRatios()
        self.patterns = nn.Conv2d(2, NUM_PATTERNS, KERNEL, padding=KERNEL // 2)

        places, common, event_dim = sensor_places(), NUM_WAY_FEATURES + NUM_BESIDE, self.field.event_dim
        self.inner = SensorNetwork(
            common + len(INNER_WIDTHS) + NUM_PATTERNS,
            event_dim,
            places[:, :NUM_MPPC],
            dim=dim,
            depth=depth,
            out_dim=len(INNER_WIDTHS) + num_outputs,
        )
        self.window = LightWindow(
            window_side, common + len(INNER_WIDTHS) + NUM_IMAGES, event_dim, dim=dim, depth=WINDOW_DEPTH
        )
        self.neighbours = PmtNeighbours(NUM_OF_PAIRS)
        self.register_buffer("nearest_mppc", torch.as_tensor(nearest_mppcs()), persistent=False)
        self.pmts = SensorNetwork(
            common + len(PMT_WIDTHS) + NUM_OF_PAIRS + len(INNER_WIDTHS),
            event_dim,
            places[:, NUM_MPPC:],
            dim=PMT_NETWORK_FACTOR * dim,
            depth=depth,
            out_dim=len(PMT_WIDTHS) + num_outputs,
        )
        self.mix_inner, self.mix_pmts = RatioMixture(len(INNER_WIDTHS)), RatioMixture(len(PMT_WIDTHS))

    @property
    def output_layers(self) -> tuple[nn.Module, ...]:
        """The layers that correct what is computed without weights."""
        field = self.field
        return field.shift, field.inner.out, field.pmts.out, self.inner.out, self.pmts.out, self.window.out

    def forward(self, features: Tensor, guess: Tensor, summary: EventSummary, tokens: Tensor) -> Tensor:
        """Return normalized values, and logarithms of errors where they are predicted, shape (B, 4760, C).

        Args:
            features: Of each sensor, without the dead ones, shape (B, 4760, 4).
            guess: Normalized npho and time of the neighbours, shape (B, 4760, 2).
            summary: Of the event, without the dead ones.
            tokens: Of the encoder, shape (B, T, D).
        """
        with without_autocast(features.device.type):
            return self._restore(features.float(), guess.float(), summary, tokens.float())

    def _restore(self, features: Tensor, guess: Tensor, summary: EventSummary, tokens: Tensor) -> Tensor:
        # Each row of sensors by itself: sensors are the last axis from here on.
        npho, measured = features[..., 0].contiguous(), features[..., 2].contiguous()
        photons = self.normalization.inverse_npho(npho) * measured
        field, event = self.field(summary, tokens)
        expected = torch.exp(field.log_photons.detach())
        time = guess[..., 1]
        beside = [(field.log_photons - 4.0) / 2.0, measured, (time - time.mean(dim=1, keepdim=True)) * 10.0]
        common = torch.cat([field.way, torch.stack(beside, dim=1)], dim=1)
        inner = self.inner_ratios(photons, expected, measured)
        images = excess_images(photons[:, :NUM_MPPC], expected[:, :NUM_MPPC], measured[:, :NUM_MPPC])
        near = self.neighbours(photons[:, NUM_MPPC:], field.log_photons[:, NUM_MPPC:].detach(), measured[:, NUM_MPPC:])
        around = torch.cat([near, inner.index_select(2, self.nearest_mppc)], dim=1)
        said = torch.cat(
            [
                self._of_mppcs(common[..., :NUM_MPPC], inner, images, event),
                self._of_pmts(common[..., NUM_MPPC:], self.pmt_ratios(photons, expected, measured), around, event),
            ],
            dim=2,
        )
        in_window = self.window(torch.cat([common[..., :NUM_MPPC], inner, images], dim=1), summary.window, event)
        correction = said[:, 0] + functional.pad(in_window, (0, NUM_SENSORS - NUM_MPPC))
        light = torch.exp((field.log_photons + correction).clamp_max(_MOST_LOG))
        restored = [self.normalization.channels(light, torch.zeros_like(light))[0]]
        if self.num_values > 1:
            restored.append(time + said[:, 1])
        return torch.stack([*restored, *said[:, self.num_values :].unbind(1)], dim=2)

    def _of_mppcs(self, common: Tensor, ratios: Tensor, images: Tensor, event: Tensor) -> Tensor:
        """Return the correction to the light of each MPPC and what else is said, shape (B, C, 4092)."""
        patterns = functional.relu(self.patterns(images[:, :2].unflatten(2, INNER_SHAPE))).flatten(2)
        return self.mix_inner(ratios, self.inner(torch.cat([common, ratios, patterns], dim=1), event))

    def _of_pmts(self, common: Tensor, ratios: Tensor, around: Tensor, event: Tensor) -> Tensor:
        """Return the correction to the light of each PMT and what else is said, shape (B, C, 668)."""
        return self.mix_pmts(ratios, self.pmts(torch.cat([common, ratios, around], dim=1), event))


def excess_images(photons: Tensor, expected: Tensor, measured: Tensor) -> Tensor:
    """Return the excess of measured over expected light, whether it was measured, and the excess as logarithm.

    Args:
        photons: Measured ones, shape (B, N).
        expected: What they are compared with, same shape.
        measured: 1 for sensors that count, else 0, same shape.

    Returns:
        Shape (B, 3, N), of order one.
    """
    ratio = (photons + _EXCESS_SCALE) / (expected + _EXCESS_SCALE)
    excess = (ratio - 1.0).clamp(-1.0, _MOST_EXCESS) * measured
    return torch.stack([excess, measured, torch.log(ratio.clamp_min(_LEAST_RATIO)) * measured], dim=1)


class RatioMixture(nn.Module):
    """Mixes ratios by weights that a network says for each sensor, at first mostly the second narrowest.

    Args:
        count: Number of ratios.
    """

    first: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        first = torch.zeros(count, 1)
        first[1] = _FIRST_WEIGHT
        self.register_buffer("first", first, persistent=False)

    def forward(self, ratios: Tensor, said: Tensor) -> Tensor:
        """Return what was said behind the weights, the mixed ratio added to its first number, shape (B, C, N).

        Args:
            ratios: Logarithms, shape (B, count, N).
            said: Weights before their softmax, then C numbers, shape (B, count + C, N).
        """
        weights = (said[:, : self.count] + self.first).softmax(dim=1)
        mixed = (weights * ratios).sum(dim=1, keepdim=True)
        return torch.cat([mixed + said[:, self.count : self.count + 1], said[:, self.count + 1 :]], dim=1)
