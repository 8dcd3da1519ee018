"""Compares the ranks of a training every few steps: they must hold the same, and none should be slow."""

import logging
import socket
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

from lib.training.ranks.distributed import rank, world_size

logger = logging.getLogger(__name__)

SLOW = 1.3
"""Times the median of all ranks from which on one is called slow."""
LEAST_SECONDS = 1e-3
"""Differences below are not worth a word."""


class DisagreementError(Exception):
    """Ranks that must hold the same do not; going on would train several models at once."""


@dataclass
class RankCheck:
    """Sees the steps of one rank, and compares it with the others.

    Attributes:
        interval: Steps between two comparisons; 0 for none.
        hosts: Host of each rank, once they were asked.
        slow: Ranks that were slow at the last comparison, and in which phase.
    """

    interval: int
    hosts: list[str] = field(default_factory=list)
    slow: dict[int, str] = field(default_factory=dict)

    def is_due(self, step: int) -> bool:
        """Return True if the ranks are to be compared after so many steps."""
        return self.interval > 0 and world_size() > 1 and step % self.interval == 0

    def compare(
        self, step: int, held: Mapping[str, Sequence[Tensor]], seconds: Mapping[str, Sequence[float]]
    ) -> list[str]:
        """Compare all ranks; to be called by all of them after the same step.

        Args:
            step: Number of the step, for messages.
            held: What must be the same on all ranks, by name.
            seconds: What the steps since the last comparison took this rank, by phase.

        Returns:
            A sentence for each rank that became slow, the same on all of them.

        Raises:
            DisagreementError: On all ranks, naming those that differ from the others.
        """
        if not self.hosts:
            self.hosts = [""] * world_size()
            dist.all_gather_object(self.hosts, socket.gethostname())
        prints = torch.stack([fingerprint(tensors) for tensors in held.values()])
        medians = torch.tensor([statistics.median(values or [0.0]) for values in seconds.values()], dtype=torch.float64)
        # Bits of both in one collective.
        own = torch.cat([prints, medians.view(torch.int64)])
        rows = own.new_empty(world_size(), len(own))
        dist.all_gather(list(rows.unbind()), own)
        for column, what in enumerate(held):
            self._require_same(step, what, rows[:, column].tolist())
        return self._new_stragglers(list(seconds), rows[:, len(prints) :].contiguous().view(torch.float64))

    def _require_same(self, step: int, what: str, prints: list[int]) -> None:
        (usual, _), *others = Counter(prints).most_common()
        if not others:
            return
        who = [number for number, one in enumerate(prints) if one != usual]
        raise DisagreementError(
            f"after step {step} the {what} of {self._named(who)} differ from those of the other ranks. Go on from the "
            "last checkpoint before it; if it happens again with the same rank, that machine computes wrongly."
        )

    def _new_stragglers(self, phases: Sequence[str], seconds: Tensor) -> list[str]:
        """Return a sentence for each rank that is slow and was not before.

        Args:
            phases: Parts of a step.
            seconds: Median of each rank and phase, shape (ranks, phases).
        """
        total = seconds.sum(1)
        # Of two ranks the faster one is the measure.
        usual = torch.quantile(total, 0.5, interpolation="lower")
        before, self.slow = self.slow, {}
        for number in torch.nonzero(total > torch.clamp(SLOW * usual, min=usual + LEAST_SECONDS)).flatten().tolist():
            excess = seconds[number] - torch.quantile(seconds, 0.5, dim=0, interpolation="lower")
            self.slow[number] = phases[int(excess.argmax())]
        return [
            f"{self._named([number])} takes {float(total[number] / usual):.2f} times as long for a step as the median "
            f"of all ranks ({float(total[number]):.3g} s, {float(usual):.3g} s), most of it in phase {phase}"
            for number, phase in self.slow.items()
            if before.get(number) != phase
        ]

    def _named(self, ranks: Sequence[int]) -> str:
        return ", ".join(f"rank {number} (host {self.hosts[number]})" for number in ranks)


def tell_stragglers(sentences: Sequence[str]) -> None:
    """Warn of slow ranks, once for all ranks."""
    if rank() == 0:
        for sentence in sentences:
            logger.warning("%s", sentence)


@torch.no_grad()
def fingerprint(tensors: Sequence[Tensor]) -> Tensor:
    """Return a number of the host, int64, that changes with any bit of any of the tensors; NaN is told from NaN."""
    found = torch.zeros((), dtype=torch.int64)
    # Sums that wrap around depend on every bit; factors tell the tensors apart. The device is waited for once.
    parts = [_summed_bits(tensor) * (2 * index + 1) for index, tensor in enumerate(tensors)]
    return found + torch.stack([part.to(tensors[0].device) for part in parts]).sum().cpu() if parts else found


def _summed_bits(tensor: Tensor) -> Tensor:
    flat = tensor.detach().contiguous().flatten()
    integers = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    bits = flat.view(integers[flat.element_size()]).long()
    # (b - c) * (4 * (b + c) + 5) is 0 modulo 2^64 for b = c alone: the second factor is odd.
    return (bits * (4 * bits + 5)).sum()
