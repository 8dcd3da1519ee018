"""Measure training and forward pass of the three models against the plain form of the same architecture, in turns.

Example: python macro/benchmark_model.py --json
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lib.baselines.plain_blocks import plain_form
from lib.cli.assembly import ScoringTask, assemble
from lib.cli.benchmark_command import benchmark_parser, print_rows
from lib.cli.entry import EXIT_DONE, run_command
from lib.cli.schemas import SCHEMAS, TrainingConfiguration
from lib.config.document import read_document
from lib.config.loading import validate
from lib.config.overrides import apply_overrides
from lib.data.batch import EventBatch
from lib.data.normalization import Normalization
from lib.data.trees.schema import BRANCH_WIDTHS
from lib.evaluation.benchmark_row import BenchmarkRow, machine_context
from lib.geometry.sensors import NUM_SENSORS
from lib.models.presets import PRESETS
from lib.reference.model_sizes import preset_configuration
from lib.training.batch_runner import BatchRunner
from lib.training.config import TrainingConfig
from lib.training.machine.peak import peak_tflops
from lib.training.machine.saved_memory import saved_bytes
from lib.training.protocol import StepOutput

KINDS = ("regressor", "mae", "inpainter")
CONFIGS = Path(__file__).resolve().parents[1] / "configs"
MICRO_BATCHES = (8, 16, 32)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
FIRST_STEP = """
from macro.benchmark_model import Candidate, configuration, random_batch
config = configuration("regressor", "quickstart", [])
Candidate.of(config, random_batch(config, 64, "cpu"), "cpu", "bf16").train()
"""


def configuration(kind: str, preset: str, assignments: Sequence[str]) -> TrainingConfiguration:
    """Return a configuration with settings over it.

    Args:
        kind: Of model.
        preset: A size of ``model.preset``, of the training in ``base.yaml``; or another file of ``configs/<kind>``.
        assignments: Settings that override it.
    """
    if preset in PRESETS:
        return preset_configuration(kind, preset, *assignments)
    document = read_document(CONFIGS / kind / f"{preset}.yaml")
    return validate(SCHEMAS[kind], apply_overrides(document, list(assignments)))


def random_batch(config: TrainingConfiguration, num_events: int, device: str) -> EventBatch:
    """Return events of random light; how long a step takes does not depend on what is in them."""
    generator = torch.Generator().manual_seed(0)
    npho = 3000.0 * torch.rand(num_events, NUM_SENSORS, generator=generator)
    time_s = 1e-7 * torch.rand(num_events, NUM_SENSORS, generator=generator)
    x, valid = Normalization.from_config(config.normalization).apply(npho, time_s)
    truth = {name: 0.01 + torch.rand(num_events, width, generator=generator) for name, width in BRANCH_WIDTHS.items()}
    numbers = torch.arange(num_events)
    batch = EventBatch(x, valid, truth, numbers, numbers, torch.ones(num_events), seed=0)
    return batch.to(torch.device(device))


@dataclass(frozen=True)
class Candidate:
    """A model that can take steps, with the settings it takes them with."""

    model: nn.Module
    task: ScoringTask
    batch: EventBatch
    runner: BatchRunner[EventBatch]
    optimizer: torch.optim.Optimizer

    @classmethod
    def of(
        cls,
        config: TrainingConfiguration,
        batch: EventBatch,
        device: str,
        precision: str,
        *,
        plain: bool = False,
        micro_batch: int | Literal["auto"] = "auto",
    ) -> "Candidate":
        """Return a fresh model, always with the same weights, in its own form or in the plain one."""
        torch.manual_seed(0)
        parts = assemble(config, Normalization.from_config(config.normalization))
        model = (plain_form(parts.model) if plain else parts.model).to(device).train()
        amp = {"amp": "bf16" if precision == "bf16" else "none", "micro_batch": micro_batch}
        settings: TrainingConfig = config.training.model_copy(update=amp)
        runner = BatchRunner[EventBatch](model, parts.task, settings, torch.device(device))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=None if plain else True)
        return cls(model, parts.task, batch, runner, optimizer)

    def train(self) -> StepOutput:
        """Take one training step on the batch."""
        self.model.train()
        window = self.runner.accumulate(iter([self.batch]), lambda: self.optimizer.zero_grad(set_to_none=True), 0)
        self.optimizer.step()
        return window.outputs[0]

    def forward(self) -> StepOutput:
        """Score the batch without gradients."""
        self.model.eval()
        return self.runner.evaluate(self.batch)


def clock(device: str) -> float:
    """Return seconds: of the processor, which a busy machine does not stretch, or beside a GPU of the wall."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def rates(pair: Sequence[Callable[[], object]], events: int, *, device: str, seconds: float) -> list[list[float]]:
    """Return events per second of each of some functions, called in turns until the time is over, at least thrice."""
    for function in pair:
        function()
    found: list[list[float]] = [[] for _ in pair]
    begin = clock(device)
    while len(found[0]) < 3 or clock(device) - begin < seconds:
        for function, values in zip(pair, found, strict=True):
            start = clock(device)
            function()
            values.append(events / (clock(device) - start))
    return found


def best_micro_batch(make: Callable[[int], Candidate], what: str, batch: int, device: str) -> Candidate:
    """Return the candidate whose micro-batch is the fastest of a few, each tried on one micro-batch."""
    sizes = [size for size in MICRO_BATCHES if size <= batch and device == "cpu"] or [batch]
    if len(sizes) == 1:
        return make(sizes[0])
    found = {}
    for size in sizes:
        candidate = make(size)
        one = replace(candidate, batch=candidate.batch.rows(0, size))
        found[size] = max(rates([getattr(one, what)], size, device=device, seconds=0.0)[0])
    return make(max(sizes, key=lambda size: found[size]))


def compare(kind: str, options: argparse.Namespace) -> Iterator[BenchmarkRow]:
    """Yield every row about one model."""
    full_grid = ["model.outer_fine_pool=null"] if options.preset in PRESETS else []
    config = configuration(kind, options.preset, [*full_grid, f"training.compile={options.compile}"])
    batch = random_batch(config, options.batch, options.device)

    def own(precision: str, size: int) -> Candidate:
        return Candidate.of(config, batch, options.device, precision, micro_batch=size)

    def plain(size: int) -> Candidate:
        return Candidate.of(config, batch, options.device, "fp32", plain=True, micro_batch=size)

    yield difference_row(kind, own("fp32", options.batch), plain(options.batch))
    flops = flops_per_event(own("fp32", options.batch))
    for what, factor in (("train", 3.0), ("forward", 1.0)):
        reference = best_micro_batch(plain, what, options.batch, options.device) if options.reference else None
        for precision in options.precision:
            candidate = best_micro_batch(
                lambda size, precision=precision: own(precision, size), what, options.batch, options.device
            )
            yield from rate_rows(f"{what}.{kind}.{precision}", what, candidate, reference, options, factor * flops)
    bytes_per_event = saved_bytes_per_event(own("bf16", options.batch))
    yield BenchmarkRow(f"saved_bytes.{kind}.bf16", bytes_per_event, "B per event", n=options.batch)


def difference_row(kind: str, own: Candidate, plain: Candidate) -> BenchmarkRow:
    """Return the largest difference of the two forms' tokens, in units of the largest.

    Behind the tokens both are the same; and what a regressor adds to its anchors is so little at first that a
    difference would drown in their rounding.
    """
    awaken(own.model, plain.model)
    with torch.no_grad():
        ours, theirs = (one.model.get_submodule("encoder").eval()(own.batch.x, own.batch.valid) for one in (own, plain))
    largest = float((ours - theirs).abs().max() / theirs.abs().max())
    return BenchmarkRow(f"max_difference.{kind}", largest, "of the largest", n=own.batch.num_events)


def awaken(*models: nn.Module) -> None:
    """Give the same sizeable random values to the scales that begin at zero, which hide half of a block."""
    for model in models:
        generator = torch.Generator().manual_seed(1)
        for name, parameter in model.named_parameters():
            if name.endswith((".gamma", ".beta")):
                parameter.data.copy_(0.1 * torch.randn(parameter.shape, generator=generator))


def rate_rows(
    name: str, what: str, own: Candidate, plain: Candidate | None, options: argparse.Namespace, flops: float
) -> Iterator[BenchmarkRow]:
    """Yield the rate of a model beside that of its plain form, and its share of the device's best."""
    steps = [getattr(candidate, what) for candidate in (own, plain) if candidate is not None]
    found = rates(steps, options.batch, device=options.device, seconds=options.seconds)
    medians = [statistics.median(values) for values in found]
    error = statistics.stdev(found[0]) / len(found[0]) ** 0.5
    limits = [candidate.runner.micro_batching.limit or options.batch for candidate in (own, plain) if candidate]
    context: dict[str, Any] = machine_context() | {"preset": options.preset, "batch": options.batch}
    context |= {"micro_batch": limits[0], "clock": "cpu" if options.device == "cpu" else "wall"}
    context |= {"reference_micro_batch": limits[-1], "compile": own.runner.ladder.mode}
    reference = medians[1] if plain is not None else None
    yield BenchmarkRow(name, medians[0], "events/s", error, reference, len(found[0]), context)
    # By the same clock as the rates, or a busy machine would seem slower than the model on it.
    peak = peak_tflops(torch.device(options.device), DTYPES[name.rpartition(".")[2]], time.process_time)
    if peak is not None:
        share = medians[0] * flops / (1e12 * peak)
        yield BenchmarkRow(f"peak_fraction.{name}", share, "of the matrix peak", n=len(found[0]), context=context)


def flops_per_event(candidate: Candidate) -> float:
    """Return the floating-point operations of one event's forward pass; training takes three times as many."""
    with FlopCounterMode(display=False) as counter:
        candidate.forward()
    return counter.get_total_flops() / candidate.batch.num_events


def saved_bytes_per_event(candidate: Candidate) -> float:
    """Return what the backward pass keeps of one event."""
    candidate.model.train()
    prepared = candidate.task.prepare(candidate.batch, training=True)

    def run() -> StepOutput:
        with torch.autocast(candidate.batch.x.device.type, dtype=torch.bfloat16):
            return candidate.task.score(candidate.model, prepared)

    return saved_bytes(candidate.model, run) / candidate.batch.num_events


def first_step_row() -> BenchmarkRow:
    """Return the seconds from a cold start to the end of the first step of the quickstart regressor."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", FIRST_STEP], cwd=CONFIGS.parent, check=True)
    return BenchmarkRow("first_step_s", time.perf_counter() - start, "s", reference=8.0)


def main(arguments: Sequence[str]) -> int:
    """Parse, measure, print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--models", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--preset", default="base", help="a size, on the full grid, or a file of configs/<model>")
    parser.add_argument("--precision", nargs="+", choices=sorted(DTYPES), default=["fp32", "bf16"])
    parser.add_argument("--batch", type=int, default=32, help="events of a step")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--compile", default="none", help="a mode of training.compile")
    parser.add_argument("--seconds", type=float, default=20.0, help="time for each pair that is compared")
    parser.add_argument("--reference", action=argparse.BooleanOptionalAction, default=True, help="the plain form too")
    options = parser.parse_args(arguments)

    for kind in options.models:
        print_rows(compare(kind, options), as_json=options.json)
    print_rows([first_step_row()], as_json=options.json)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
