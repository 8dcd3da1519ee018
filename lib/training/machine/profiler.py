"""Where the time of a training goes, and how much of the device's best it is."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lib.training.config import TrainingConfig
from lib.training.machine.memory import GIB, peak_host_bytes
from lib.training.machine.peak import peak_tflops

Section = Literal["data_load", "transfer", "forward", "loss", "backward", "optimizer", "logging"]
SECTIONS: tuple[Section, ...] = ("data_load", "transfer", "forward", "loss", "backward", "optimizer", "logging")
TABLE_NAME = "profile.txt"
TRACE_NAME = "profile_trace.json"
TRACED_STEPS = 3
TRACE_AFTER = 5
"""Steps that pass before some are traced, so that warming up is not among them."""


class Profiler(Protocol):
    """Is told when a part of the loop begins and ends."""

    def section(self, name: Section) -> AbstractContextManager[object]:
        """Return the context of a part of a step; parts may lie inside each other."""
        ...

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model in a form that tells its forward passes."""
        ...

    def first_batch(self, run: Callable[[], object], num_events: int) -> None:
        """Count the operations of a step by running a few events once; called before the first step."""
        ...

    def begin(self) -> None:
        """Forget everything: what is measured begins now."""
        ...

    def step_done(self, events: int) -> None:
        """Note a finished step."""
        ...

    def take(self) -> "Profile | None":
        """Return what was measured since ``begin``, or None where nothing is measured."""
        ...

    def write(self, folder: Path) -> list[Path]:
        """Write the last profile, and a trace when it is ready, to a folder; return the files."""
        ...


class Unprofiled:
    """Measures nothing."""

    _nothing = nullcontext()

    def section(self, name: Section) -> AbstractContextManager[object]:  # noqa: ARG002
        """Return a context that does nothing."""
        return self._nothing

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model as it is."""
        return model

    def first_batch(self, run: Callable[[], object], num_events: int) -> None:
        """Count nothing."""

    def begin(self) -> None:
        """Forget nothing."""

    def step_done(self, events: int) -> None:
        """Note nothing."""

    def take(self) -> "Profile | None":
        """Return nothing."""
        return None

    def write(self, folder: Path) -> list[Path]:  # noqa: ARG002
        """Write nothing."""
        return []


class _TimedModel(nn.Module):
    def __init__(self, model: nn.Module, profiler: "StepProfiler") -> None:
        super().__init__()
        # In a list the model is no child, which would double its parameters.
        self._models = [model]
        self._profiler = profiler

    @property
    def training(self) -> bool:
        return self._models[0].training

    @training.setter
    def training(self, value: bool) -> None:
        """Accept what ``nn.Module`` sets at construction; the model itself knows whether it trains."""

    def forward(self, *inputs: object, **named: object) -> object:
        with self._profiler.section("forward"):
            return self._models[0](*inputs, **named)


@dataclass(frozen=True)
class Profile:
    """What was measured in some steps.

    Attributes:
        seconds: Time of each part, without the parts inside it.
        total: Time of all steps.
        events: Events of all steps.
        tflops: Floating-point operations of the model per second, 1e12; 0 if they were not counted.
        peak_share: Share of the device's best; None if that is not known.
        host_bytes: Largest memory of the process.
        device_bytes: Largest memory on the GPU, 0 without one.
    """

    seconds: dict[Section, float]
    total: float
    events: int
    tflops: float
    peak_share: float | None
    host_bytes: int
    device_bytes: int

    def metrics(self) -> dict[str, float]:
        """Return the numbers as they are logged."""
        found = {f"profile/{name}_share": self.seconds[name] / self.total for name in SECTIONS}
        found |= {"profile/events_per_second": self.events / self.total, "profile/tflops": self.tflops}
        found |= {"profile/host_memory_gib": self.host_bytes / GIB, "profile/gpu_memory_gib": self.device_bytes / GIB}
        return found | ({} if self.peak_share is None else {"profile/peak_share": self.peak_share})

    def table(self) -> str:
        """Return the numbers as text for people."""
        other = self.total - sum(self.seconds.values())
        rows = [*((name, self.seconds[name]) for name in SECTIONS), ("other", other)]
        lines = [f"{'part':<12}{'seconds':>10}{'share':>9}"]
        lines += [f"{name:<12}{seconds:>10.2f}{seconds / self.total:>9.1%}" for name, seconds in rows]
        peak = "of an unknown best" if self.peak_share is None else f"{self.peak_share:.1%} of the device's best"
        lines += [
            f"{self.events / self.total:,.0f} events/s, {self.tflops:.3f} TFLOP/s ({peak})",
            f"memory at most {self.host_bytes / GIB:.2f} GiB on the host, {self.device_bytes / GIB:.2f} GiB on the GPU",
        ]
        return "\n".join(lines) + "\n"


class StepProfiler:
    """Measures the parts of training steps.

    On a GPU the times are those of the device, from events that are read when the profile is taken: measuring adds no
    wait. Parts of the loop that only the host works on, such as ``data_load``, take host time.

    Args:
        device: Where the model runs.
        dtype: Type of its matrix products.
        trace: Whether a few steps are traced for chrome://tracing.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype, *, trace: bool) -> None:
        self._device = device
        self._dtype = dtype
        self._trace = trace
        self._tracer: torch.profiler.profile | None = None
        self._steps = 0
        self._flops_per_event = 0.0
        self._last: Profile | None = None
        self.begin()

    def begin(self) -> None:
        """Forget everything but the trace: what is measured begins now."""
        self._seconds = dict.fromkeys(SECTIONS, 0.0)
        self._marks: list[tuple[Section, torch.cuda.Event, torch.cuda.Event]] = []
        self._open: list[float] = []
        self._events = 0
        self._begin = time.perf_counter()

    @contextmanager
    def section(self, name: Section) -> Iterator[None]:
        """Measure a part of a step."""
        on_device = self._device.type == "cuda" and name not in {"data_load", "logging"}
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2)) if on_device else (None, None)
        if first is not None:
            first.record()
        start = time.perf_counter()
        self._open.append(0.0)
        try:
            yield
        finally:
            inside, taken = self._open.pop(), time.perf_counter() - start
            if self._open:
                self._open[-1] += taken
            if first is None or last is None:
                self._seconds[name] += taken - inside
            else:
                last.record()
                self._marks.append((name, first, last))

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return a module that measures its forward passes; weights stay with the model."""
        return _TimedModel(model, self)

    def first_batch(self, run: Callable[[], object], num_events: int) -> None:
        """Count the operations of a forward pass of some events; a backward pass takes twice as many."""
        if self._flops_per_event:
            return
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            run()
        self._flops_per_event = 3.0 * counter.get_total_flops() / num_events
        self.begin()

    def step_done(self, events: int) -> None:
        """Note a finished step, and begin or end a trace where it is time."""
        self._events += events
        self._steps += 1
        if not self._trace:
            return
        if self._steps == TRACE_AFTER:
            kinds = [torch.profiler.ProfilerActivity.CPU]
            kinds += [torch.profiler.ProfilerActivity.CUDA] if self._device.type == "cuda" else []
            self._tracer = torch.profiler.profile(activities=kinds)
            self._tracer.start()
        elif self._tracer is not None and self._steps == TRACE_AFTER + TRACED_STEPS:
            self._tracer.stop()

    def take(self) -> Profile:
        """Return what was measured since ``begin``; waits for the device."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        total = time.perf_counter() - self._begin
        for name, first, last in self._marks:
            self._seconds[name] += first.elapsed_time(last) / 1e3
        # The loss is measured around the forward pass; on the device one lies inside the other.
        if self._marks:
            self._seconds["loss"] -= self._seconds["forward"]
        tflops = self._flops_per_event * self._events / total / 1e12
        peak = peak_tflops(self._device, self._dtype)
        on_gpu = torch.cuda.max_memory_allocated(self._device) if self._device.type == "cuda" else 0
        share = None if peak is None else tflops / peak
        self._last = Profile(self._seconds, total, self._events, tflops, share, peak_host_bytes(), on_gpu)
        self.begin()
        return self._last

    def write(self, folder: Path) -> list[Path]:
        """Write the table of the last profile, and once the trace when its steps have been taken."""
        written = []
        if self._last is not None:
            written.append(folder / TABLE_NAME)
            written[-1].write_text(self._last.table(), encoding="utf-8")
        if self._tracer is not None and self._steps >= TRACE_AFTER + TRACED_STEPS:
            written.append(folder / TRACE_NAME)
            self._tracer.export_chrome_trace(str(written[-1]))
            self._tracer, self._trace = None, False
        return written


def build_profiler(config: TrainingConfig, device: torch.device) -> Profiler:
    """Return what measures a training, or does not, as configured."""
    if not (config.profile or config.profile_trace):
        return Unprofiled()
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    return StepProfiler(device, dtype, trace=config.profile_trace)
