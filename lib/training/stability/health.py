"""Looks, at each validation, whether anything is learnt: an embedding that tells events apart, and errors below those
of a constant.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Generic, Protocol

import torch
from torch import Tensor

from lib.training.protocol import B, B_contra, StepOutput
from lib.training.stability.health_config import HealthConfig

logger = logging.getLogger(__name__)

# A unit that varies by less than this share of the embedding's size carries nothing.
DEAD_SHARE = 1e-3


class UnhealthyError(Exception):
    """Nothing is learnt, and the run was asked to end then."""


class ConstantPredictor(Protocol[B_contra]):
    """Predicts the same whatever it sees, and compares the model with that."""

    def add(self, batch: B_contra, output: StepOutput) -> None:
        """Take in one validated batch."""
        ...

    def ratios(self) -> Mapping[str, float]:
        """Return the model's mean absolute error over the constant's, by target, and forget the batches."""
        ...


class LearningHealth(Generic[B]):
    """Watches validations (``lib.training.protocol.Observer``).

    Args:
        config: What is worth a warning.
        embed: Returns the embedding of a batch, shape (B, T, D): T tokens of D units for each event.
        constant: What the model is compared with.

    Attributes:
        faults: What the last validation gave reason to warn of, in words.
    """

    def __init__(self, config: HealthConfig, embed: Callable[[B], Tensor], constant: ConstantPredictor[B]) -> None:
        self.faults: list[str] = []
        self._config = config
        self._embed = embed
        self._constant = constant
        self._tokens: list[Tensor] = []
        self._seen = 0

    def validation_batch(self, batch: B, output: StepOutput) -> None:
        """Take in one batch, until there are events enough."""
        if self._seen < self._config.events:
            self._tokens.append(self._embed(batch))
            self._constant.add(batch, output)
            self._seen += batch.num_events

    def validation_end(self, epoch: int) -> dict[str, float]:
        """Return effective rank and dead units of the embedding, and errors over those of a constant."""
        tokens = torch.cat(self._tokens)
        ratios = self._constant.ratios()
        self._tokens, self._seen = [], 0
        rank, dead = effective_rank(tokens), dead_units(tokens)
        self.faults = self._find_faults(rank, dead, tokens.shape[-1], ratios) if self._is_time(epoch) else []
        for fault in self.faults:
            logger.warning("%s", fault)
        worst = {"val/loss_over_constant": max(ratios.values())} if ratios else {}
        each = {f"val/loss_over_constant_{name}": ratio for name, ratio in ratios.items()}
        return {"val/effective_rank": rank, "val/dead_units": dead, **worst, **each}

    def _is_time(self, epoch: int) -> bool:
        return epoch + 1 >= self._config.after_epochs

    def _find_faults(self, rank: float, dead: float, units: int, ratios: Mapping[str, float]) -> list[str]:
        config, faults = self._config, []
        if not rank >= config.min_effective_rank:
            faults.append(
                f"the embedding varies along {rank:.1f} of {units} directions only: all events look alike to the "
                "encoder. Lower training.lr, lengthen training.warmup_epochs, or start from a pretrained encoder."
            )
        if not dead <= config.max_dead_units:
            faults.append(
                f"{dead:.0%} of the embedding's {units} units are the same for all events. Lower training.lr, or use "
                "a smaller model.encoder_dim."
            )
        for name, ratio in ratios.items():
            if not ratio <= config.max_loss_over_constant:
                faults.append(
                    f"{name}: the error is {ratio:.2f} times that of a constant prediction; nothing is learnt of it. "
                    "Look at the data and the normalization with lib.check, then at training.lr."
                )
        return faults

    def require_health(self) -> None:
        """Look at the last validation.

        Raises:
            UnhealthyError: If there was a fault and the run is to end then.
        """
        if self._config.stop and self.faults:
            raise UnhealthyError(" ".join(self.faults))


def effective_rank(tokens: Tensor) -> float:
    """Return along how many directions an embedding varies from event to event.

    It is the exponential of the entropy of the singular values: 1 if all events lie on one line, D if they fill all
    directions alike. What tells one token of an event from another is no variation among events and is taken off.

    Args:
        tokens: Shape (B, T, D).

    Source: Roy and Vetterli, "The effective rank", EUSIPCO 2007; for embeddings Garrido et al., arXiv:2210.02885.
    """
    deviations = (tokens.double() - tokens.double().mean(dim=0)).flatten(0, 1)
    # Single precision would leave noise in directions that do not vary at all.
    squares = torch.linalg.eigvalsh(deviations.T @ deviations).clamp(min=0.0)
    if not bool(squares.sum() > 0):
        return 1.0
    shares = squares.sqrt() / squares.sqrt().sum()
    return float(torch.exp(torch.special.entr(shares).sum()))


def dead_units(tokens: Tensor) -> float:
    """Return the share of an embedding's units that do not vary from event to event, in any token.

    Args:
        tokens: Shape (B, T, D).
    """
    values = tokens.double()
    spread = values.var(dim=0, correction=0).mean(dim=0).sqrt()
    size = values.square().mean().sqrt()
    return float((spread <= DEAD_SHARE * size).double().mean())
