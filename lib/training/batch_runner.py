"""Runs batches through the model: cut into micro-batches, in autocast, compiled, and again where an attempt failed."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic

import torch
from torch import nn

from lib.nn.drop_path import PathDraws
from lib.nn.recomputation import recompute_blocks
from lib.training.config import CompileMode, TrainingConfig
from lib.training.machine.compilation import CompileLadder
from lib.training.machine.memory import is_out_of_memory, release_memory, shortage_error
from lib.training.machine.profiler import Profiler, Unprofiled
from lib.training.micro_batch import MicroBatching, join_outputs, widest_layer_bytes
from lib.training.precision import autocast
from lib.training.protocol import B, StepOutput, Task
from lib.training.ranks.gradient_sync import GradientSync
from lib.training.ranks.output_sums import join_rows, own_rows, sum_outputs
from lib.training.ranks.own_time import OwnTime

logger = logging.getLogger(__name__)

# What ranks tell each other of an attempt, the worst counts.
_DONE, _COMPILER_FAILED, _OUT_OF_MEMORY = 0, 1, 2


@dataclass(frozen=True)
class Window(Generic[B]):
    """The batches of one optimizer step.

    Attributes:
        batches: As the loader gave them.
        outputs: Loss and sums of each.
    """

    batches: list[B]
    outputs: list[StepOutput]


class BatchRunner(Generic[B]):
    """Scores batches and sums gradients.

    Attributes:
        ladder: The model, compiled or not.
        micro_batching: How batches are cut.

    Args:
        model: What is trained; already on the device.
        task: Scores batches.
        config: Settings of the loop.
        device: Where the model is.
        profiler: Measures the parts of a step.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task[B],
        config: TrainingConfig,
        device: torch.device,
        *,
        profiler: Profiler | None = None,
    ) -> None:
        if config.activation_checkpointing:
            logger.info("activations of %d blocks are computed twice to save memory", recompute_blocks(model))
        self.micro_batching = MicroBatching(config.micro_batch, device)
        self.ladder = CompileLadder(model, _mode(config, device), fullgraph=config.compile_fullgraph)
        self._model = model
        self._task = task
        self._config = config
        self._device = device
        self._sync = GradientSync(model)
        self._paths = PathDraws(model)
        self._profiler = profiler or Unprofiled()
        self._own_time = OwnTime(device)

    def own_seconds(self) -> list[float]:
        """Return what each step since the last call took this rank, without waiting for others."""
        return self._own_time.take()

    def execution(self) -> dict[str, str]:
        """Return how the model is run by now, as tags of a run: what was asked for and what became of it."""
        size = self.micro_batching.limit
        tags = {"execution.compile": self.ladder.mode, "execution.micro_batch": str(size or "whole batches")}
        return tags | ({"execution.compile_reason": self.ladder.reason} if self.ladder.reason else {})

    def accumulate(self, batches: Iterator[B], begin: Callable[[], None], step: int) -> Window[B]:
        """Sum the gradients of the mean loss of the batches of one step.

        Where an attempt does not fit into memory or cannot be compiled, it is taken again with smaller micro-batches
        or one rung lower: with the same batches and, after ``begin``, the same random numbers.

        Args:
            batches: The next ``grad_accum_steps`` of them are used.
            begin: Forgets older gradients and seeds what is drawn.
            step: Number of the step, for messages.

        Raises:
            MemoryShortageError: If the step does not fit, and is not to be cut finer.
        """
        window = Window[B]([next(batches)], [])
        self._look_at_model(window.batches[0])
        self._profiler.first_batch(lambda: self._score_one(window.batches[0]), 1)
        while True:
            begin()
            window.outputs.clear()
            failure = self._attempt(window, batches)
            verdict = self._sync.agree(_kind_of(failure))
            if verdict == _DONE:
                self._own_time.step_done()
                return Window(window.batches, sum_outputs(window.outputs))
            self._adapt(verdict, failure, window.batches[0].num_events, step)

    def _attempt(self, window: Window[B], batches: Iterator[B]) -> Exception | None:
        """Fill the window and the gradients; return what went wrong."""
        count = self._config.grad_accum_steps
        self._sync.begin()
        self._own_time.begin_step()
        for index in range(count):
            if index == len(window.batches):
                window.batches.append(next(batches))
            try:
                with self.ladder.first_run():
                    is_last = index == count - 1
                    window.outputs.append(self._backward(window.batches[index], 1.0 / count, is_last=is_last))
            except Exception as error:  # noqa: BLE001 - compilers fail in many types; what is not theirs is raised again
                # The frames of a traceback hold the memory that was short.
                return error.with_traceback(None) if is_out_of_memory(error) else error
        return None

    def _adapt(self, verdict: int, failure: Exception | None, batch: int, step: int) -> None:
        """Change what made an attempt fail; raise where nothing can be changed."""
        if verdict == _OUT_OF_MEMORY:
            release_memory(self._device)
            size = self.micro_batching.size(batch)
            if self._config.auto_batch and self.micro_batching.halve(batch):
                after = self.micro_batching.size(batch)
                self.ladder.expect_new_shape()
                logger.warning("out of memory with %d events at a time; taking the step again with %d", size, after)
                return
            accumulation = self._config.grad_accum_steps
            raise shortage_error(
                self._device, step=step, batch=batch, micro_batch=size, accumulation=accumulation
            ) from None
        if failure is not None and not self.ladder.fall(failure):
            raise failure

    def _backward(self, batch: B, share: float, *, is_last: bool) -> StepOutput:
        """Add the gradients of one batch, times a share, to those before; the last one brings those of all ranks."""
        with self._profiler.section("transfer"):
            prepared = self._task.prepare(batch.to(self._device), training=True)
            self._paths.draw(batch.num_events, self._device)
        model = self._profiler.wrap(self.ladder.model)
        parts: list[StepOutput] = []
        ranges = self._ranges(batch.num_events)
        self._own_time.start()
        for number, (first, last) in enumerate(ranges, 1):
            self._paths.use_rows(first, last)
            self.ladder.begin_call()
            rows, sums_up = prepared.rows(first, last), is_last and number == len(ranges)
            with self._sync.part(is_last=sums_up):
                with self._profiler.section("loss"), autocast(self._config.precision, self._device):
                    output = self._sync.forward(partial(self._task.score, model, rows), is_last=sums_up)
                if sums_up:
                    # The rest of the backward pass waits for the slowest rank.
                    self._own_time.stop()
                with self._profiler.section("backward"):
                    (output.loss * (share * self._sync.scale)).backward()
            parts.append(StepOutput(output.loss.detach(), output.sums))
        self._own_time.stop()
        return join_outputs(parts)

    @torch.no_grad()
    def _look_at_model(self, batch: B) -> None:
        """Find out, once, how many events stay in the cache."""
        if self.micro_batching.is_open:
            self.micro_batching.fit_cache(widest_layer_bytes(self._model, lambda: self._score_one(batch)))

    def _score_one(self, batch: B) -> None:
        """Score the first event; not compiled, which would take minutes for a batch of another shape."""
        one = self._task.prepare(batch.rows(0, 1).to(self._device), training=False)
        self._paths.forget()
        with autocast(self._config.precision, self._device):
            self._task.score(self._model, one)

    def evaluate(self, batch: B) -> StepOutput:
        """Score one batch, each rank some of its rows; the model is in evaluation mode."""
        self._look_at_model(batch)
        while True:
            try:
                with self.ladder.first_run():
                    own = self._evaluate(self.ladder.model, batch, self._ranges(batch.num_events))
            except Exception as error:
                if is_out_of_memory(error) or not self.ladder.fall(error):
                    raise
            else:
                return join_rows(own, batch.num_events)

    def evaluate_eagerly(self, batch: B) -> StepOutput:
        """Score a batch of unusual size; compiling the model for it would take minutes."""
        return self._evaluate(self._model, batch, self.micro_batching.ranges(batch.num_events))

    def _ranges(self, num_events: int) -> list[tuple[int, int]]:
        """Return first and last row of each micro-batch of this rank; batch and random draws are those of all ranks."""
        begin, end = own_rows(num_events)
        return [(begin + first, begin + last) for first, last in self.micro_batching.ranges(end - begin)]

    @torch.no_grad()
    def _evaluate(self, model: nn.Module, batch: B, ranges: list[tuple[int, int]]) -> StepOutput:
        prepared = self._task.prepare(batch.to(self._device), training=False)
        parts: list[StepOutput] = []
        for first, last in ranges:
            self.ladder.begin_call()
            with autocast(self._config.precision, self._device):
                output = self._task.score(model, prepared.rows(first, last))
            if self.ladder.replays_graphs:
                # The next replay writes where these lie.
                output = replace(output, outputs={name: value.clone() for name, value in output.outputs.items()})
            parts.append(output)
        return join_outputs(parts)


def _mode(config: TrainingConfig, device: torch.device) -> CompileMode:
    if config.compile_mode == "auto":
        return "none" if device.type == "cpu" else "reduce-overhead"
    return config.compile_mode


def _kind_of(failure: Exception | None) -> int:
    if failure is None:
        return _DONE
    return _OUT_OF_MEMORY if is_out_of_memory(failure) else _COMPILER_FAILED
