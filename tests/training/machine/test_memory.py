"""Steps that do not fit into memory."""

import random
import re

import pytest
import torch
import yaml
from torch import nn

from lib.training.batch_runner import BatchRunner
from lib.training.machine.memory import MemoryShortageError, describe_memory, is_out_of_memory, shortage_error
from lib.training.protocol import Unwatched
from lib.training.trainer import Trainer
from tests.training.toy import ToyBatch, ToyStream, toy_trainer, weights_of

CPU_MESSAGE = "[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried to allocate"


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError(), RuntimeError(CPU_MESSAGE)]
)
def test_every_kind_of_shortage_is_recognized(error: BaseException) -> None:
    assert is_out_of_memory(error)


def test_other_failures_are_none() -> None:
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("DefaultCPUAllocator"))


def test_a_real_allocation_that_fails_is_recognized() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_memory_is_described_in_words() -> None:
    assert re.fullmatch(r"peak \d+\.\d GiB, \d+\.\d GiB free on the host", describe_memory(torch.device("cpu")))


@pytest.mark.parametrize(("batch", "half"), [(2048, 1024), (7, 4)])
def test_the_advice_is_yaml_that_keeps_the_effective_batch(batch: int, half: int) -> None:
    text = str(shortage_error(torch.device("cpu"), step=17, batch=batch, micro_batch=16, accumulation=3))
    lines = [line for line in text.splitlines() if line.startswith("  ")]
    assert yaml.safe_load("\n".join(lines)) == {"batch_size": half, "grad_accum_steps": 6}
    assert "step 17" in text
    assert f"a batch of {batch}" in text
    assert "GiB free" in text


class ScarceMemory(nn.Module):
    """Fails in the forward or the backward pass at given calls, and whenever more events come than fit."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.fitting = 10**9
        self.fails_in_backward = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.inner(x)
        if len(x) <= self.fitting or not self.training:
            return y
        if not self.fails_in_backward:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        y.register_hook(self._fail)
        return y

    @staticmethod
    def _fail(_gradient: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def scarce_trainer(**settings: object) -> tuple[Trainer[ToyBatch], ScarceMemory]:
    trainer = toy_trainer(ToyStream(8), **settings)
    # Dropout draws differently for differently cut batches; dropped paths do not.
    trainer.model[2].p = 0.0
    scarce = ScarceMemory(trainer.model)
    runner: BatchRunner[ToyBatch] = trainer._runner
    runner.ladder.model = scarce
    return trainer, scarce


@pytest.mark.parametrize("number", range(20))
def test_auto_batch_takes_the_step_again_with_the_same_gradient(number: int) -> None:
    draw = random.Random(number)
    settings = {"grad_accum_steps": draw.choice([1, 2, 4]), "auto_batch": True, "micro_batch": draw.choice([16, 9, 5])}
    plenty, _ = scarce_trainer(**settings)
    short, scarce = scarce_trainer(**settings)
    scarce.fails_in_backward = draw.random() < 0.5
    fails_at = draw.randrange(8 // settings["grad_accum_steps"])
    fitting = draw.choice([1, 2, 3, 4])

    class RunsOut(Unwatched):
        def step_done(self) -> None:
            if short.progress.steps_done == fails_at:
                scarce.fitting = fitting

    watch = RunsOut()
    watch.step_done()
    plenty.run_epoch()
    short.run_epoch(watch)
    assert short._runner.micro_batching.size(16) <= fitting
    # Adam divides by the root of its moments, which magnifies a gradient's rounding error where the gradient is small.
    for name, value in weights_of(plenty).items():
        torch.testing.assert_close(weights_of(short)[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("in_backward", [False, True])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_gradient_of_a_step_taken_again_is_the_same(in_backward: bool, accumulation: int) -> None:
    gradients = []
    for fitting in (100, 3):
        trainer, scarce = scarce_trainer(auto_batch=True, grad_accum_steps=accumulation, micro_batch=16)
        scarce.fitting, scarce.fails_in_backward = fitting, in_backward
        trainer._runner.accumulate(ToyStream(8).epoch(0), trainer._begin_step, 0)
        found = [parameter.grad.flatten() for parameter in trainer.model.parameters() if parameter.grad is not None]
        gradients.append(torch.cat(found).double())
    assert (gradients[1] - gradients[0]).norm() < 1e-6 * gradients[0].norm()


def test_without_auto_batch_the_run_ends_with_advice_and_its_state_is_that_of_the_last_step() -> None:
    trainer, scarce = scarce_trainer(micro_batch=16)
    trainer._train_epoch(0)
    before, steps = weights_of(trainer), trainer.progress.steps_done
    trainer.progress.batches_done = 0
    scarce.fitting = 2
    with pytest.raises(MemoryShortageError, match=r"out of memory in step 8: 16 events at a time of a batch of 16"):
        trainer.run_epoch()
    assert trainer.progress.steps_done == steps
    for name, value in weights_of(trainer).items():
        assert torch.equal(value, before[name])


def test_a_single_event_that_does_not_fit_ends_the_run() -> None:
    trainer, scarce = scarce_trainer(auto_batch=True)
    scarce.fitting = 0
    with pytest.raises(MemoryShortageError, match="1 events at a time"):
        trainer.run_epoch()
