"""Sums over ranks of what one step gave: afterwards every rank holds what a single process would."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from lib.training.protocol import StepOutput
from lib.training.ranks.distributed import rank, sum_over_ranks, world_size


def own_rows(num_events: int) -> tuple[int, int]:
    """Return first and one past the last of this rank's rows of a batch; shares are alike to within one event."""
    ranks, own = world_size(), rank()
    return num_events * own // ranks, num_events * (own + 1) // ranks


@torch.no_grad()
def sum_outputs(outputs: Sequence[StepOutput]) -> list[StepOutput]:
    """Return losses and metric sums of whole batches, given those of this rank's rows; one collective for all."""
    if world_size() == 1:
        return list(outputs)
    values = [value for one in outputs for value in (one.loss, *(part for pair in one.sums.values() for part in pair))]
    summed = iter(sum_over_ranks(torch.stack([value.detach().double() for value in values])).unbind())
    found = []
    for one in outputs:
        loss = next(summed).to(one.loss.dtype)
        found.append(replace(one, loss=loss, sums={name: (next(summed), next(summed)) for name in one.sums}))
    return found


@torch.no_grad()
def join_rows(output: StepOutput, num_events: int) -> StepOutput:
    """Return the scores of a whole batch with the rows of all ranks, the same on each of them.

    Args:
        output: Scores of this rank's rows.
        num_events: Rows of the whole batch.
    """
    if world_size() == 1:
        return output
    (whole,) = sum_outputs([output])
    first, last = own_rows(num_events)
    rows = {}
    for name, values in output.outputs.items():
        # Shares differ by an event, so rows are summed into zeros rather than gathered.
        number = values.byte() if values.dtype == torch.bool else values
        filled = number.new_zeros(num_events, *values.shape[1:])
        filled[first:last] = number
        rows[name] = sum_over_ranks(filled).to(values.dtype)
    return replace(whole, outputs=rows)
