"""Measure the exported model against the plain export of the same architecture, in turns in one process.

Example: python macro/benchmark_inference.py --json
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import uproot
from torch import nn

from lib.baselines.plain_blocks import plain_form
from lib.cli.benchmark_command import benchmark_parser, print_rows
from lib.cli.entry import EXIT_DONE, run_command
from lib.cli.schemas import RegressorConfig
from lib.config.document import read_document
from lib.config.loading import validate
from lib.data.normalization import Normalization
from lib.errors import ConfigError, nearest
from lib.evaluation.benchmark_row import BenchmarkRow, machine_context
from lib.export.cpp_program import build_program, run_program, write_readings
from lib.export.inference import InferenceOptions, infer
from lib.export.metadata import ModelMetadata
from lib.export.odd_events import FloatArray, generate_events
from lib.export.onnx_graph import build_graph
from lib.export.parity import scaled_difference
from lib.export.physical_regressor import PhysicalRegressor
from lib.export.session import ExportedModel
from lib.models.regressor import Regressor
from lib.tasks.targets import enabled_targets, head_scales

# As files of the detector are written, and not one basket for everything.
_EVENTS_PER_BASKET = 100
_INFERENCE_TURNS = 3

CPP = Path(__file__).resolve().parent / "cpp"
CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "regressor"


@dataclass(frozen=True)
class Bench:
    """What is measured.

    Attributes:
        model: In torch, with weights that are not trained: how long it takes does not depend on them.
        ours: Its exported form.
        plain: The exported form of the same function in the blocks as their papers have them.
        path: The file of ``ours``.
        threads: Threads of every form.
        repeat: Measurements, of which the median counts.
    """

    model: PhysicalRegressor
    ours: ExportedModel
    plain: ExportedModel
    path: Path
    threads: int
    repeat: int


def build(preset: str, folder: Path, threads: int, repeat: int) -> Bench:
    """Export an untrained regressor of ``configs/regressor/<preset>.yaml`` twice."""
    known = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
    if preset not in known:
        raise ConfigError(f"--preset {preset}: no such preset; nearest: {nearest(preset, known)}.")
    config = validate(RegressorConfig, read_document(CONFIGS / f"{preset}.yaml"))
    normalization, targets = Normalization.from_config(config.normalization), enabled_targets(config.tasks)
    torch.manual_seed(0)
    widths = {target.name: target.head_width for target in targets}
    regressor = Regressor(config.model, widths, normalization, scales=head_scales(targets))
    for head in regressor.heads.values():
        # Heads begin almost silent, and differences of almost nothing would say nothing.
        nn.init.normal_(head.out.weight, std=0.1)
    model = PhysicalRegressor(regressor, normalization, targets).eval()
    plain = PhysicalRegressor(plain_form(regressor), normalization, targets).eval()
    opened = [_export(it, folder / name, threads) for it, name in ((model, "ours.onnx"), (plain, "plain.onnx"))]
    return Bench(model, opened[0], opened[1], folder / "ours.onnx", threads, repeat)


def _export(model: PhysicalRegressor, path: Path, threads: int) -> ExportedModel:
    outputs = tuple(output.description() for output in model.outputs)
    metadata = ModelMetadata("regressor", model.inputs, outputs, "tree", "npho", "time", {}, "", "", "untrained", {})
    npho, time_s = (torch.from_numpy(values) for values in generate_events(4, np.random.default_rng(0)))
    names = [output.name for output in outputs]
    build_graph(model, {"npho": npho, "time": time_s}, names, metadata.to_properties()).save(path, external_data=False)
    return ExportedModel.open(path, num_threads=threads, use_gpu=False)


def seconds_per_run(bench: Bench, batch: int) -> dict[str, list[float]]:
    """Return the times of both forms, measured in turns, after one run that does not count."""
    npho, time_s = generate_events(batch, np.random.default_rng(1))
    forms = {"ours": bench.ours, "plain": bench.plain}
    times: dict[str, list[float]] = {name: [] for name in forms}
    for turn in range(bench.repeat + 1):
        for name, form in forms.items():
            start = time.perf_counter()
            form.run(npho, time_s)
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


def speed_rows(bench: Bench) -> list[BenchmarkRow]:
    """Return latency of one event and throughput of two sizes of batches."""
    medians = {
        batch: {name: statistics.median(values) for name, values in seconds_per_run(bench, batch).items()}
        for batch in (1, 8, 64)
    }
    one = medians[1]
    rows = [_row(bench, "onnx.latency_ms.batch1", 1e3 * one["ours"], "ms", 1e3 * one["plain"])]
    for batch in (8, 64):
        ours, plain = (batch / medians[batch][name] for name in ("ours", "plain"))
        rows.append(_row(bench, f"onnx.events_per_s.batch{batch}", ours, "events/s", plain))
    return rows


def parity_rows(bench: Bench, num_events: int, folder: Path) -> list[BenchmarkRow]:
    """Return the largest differences from torch, and how fast the C++ program is in batches of 8."""
    npho, time_s = generate_events(num_events, np.random.default_rng(2))
    program = build_program([CPP / "xec_predict.cpp", CPP / "xec_model.cpp"])
    events = write_readings(folder / "events.bin", npho, time_s)
    run = run_program(program, bench.path, events, "--batch", "8", "--threads", str(bench.threads))
    worst = {"python": 0.0, "cpp": 0.0}
    for first in range(0, num_events, 64):
        rows = slice(first, first + 64)
        with torch.inference_mode():
            expected = bench.model(torch.from_numpy(npho[rows]), torch.from_numpy(time_s[rows]))
        python = list(bench.ours.run(npho[rows], time_s[rows]).values())
        widths = np.cumsum([values.shape[1] for values in python])[:-1]
        for name, values in (("python", python), ("cpp", np.split(run.answers[rows], widths, axis=1))):
            worst[name] = max(worst[name], _largest(bench.model, [one.numpy() for one in expected], values))
    start = time.perf_counter()
    for first in range(0, num_events, 8):
        bench.ours.run(npho[first : first + 8], time_s[first : first + 8])
    in_python = num_events / (time.perf_counter() - start)
    return [
        _row(bench, "cpp.events_per_s.batch8", run.events_per_s, "events/s", in_python, num_events),
        *(_row(bench, f"parity.{name}", value, "spread", 1e-5, num_events) for name, value in worst.items()),
    ]


def _largest(model: PhysicalRegressor, expected: Sequence[FloatArray], values: Sequence[FloatArray]) -> float:
    compared = zip(model.outputs, expected, values, strict=True)
    return max(float(scaled_difference(output, left, right).max()) for output, left, right in compared)


def inference_rows(bench: Bench, num_events: int, folder: Path, batch: int = 32) -> list[BenchmarkRow]:
    """Return the throughput of ``lib.infer`` from file to file, and what it loses against the bare runtime.

    Measured in turns. The loss is counted in processor time of all threads: on a machine with a core to spare the
    reading costs no time at all. Both sides open the model.
    """
    npho, time_s = generate_events(num_events, np.random.default_rng(3))
    metadata = bench.ours.metadata
    names = [metadata.branches.get(name, name) for name in (metadata.npho_branch, metadata.time_branch)]
    with uproot.recreate(folder / "events.root", compression=uproot.ZSTD(3)) as file:
        file.mktree(metadata.tree_name, {name: np.dtype((np.float32, (4760,))) for name in names})
        for first in range(0, num_events, _EVENTS_PER_BASKET):
            rows = slice(first, first + _EVENTS_PER_BASKET)
            file[metadata.tree_name].extend(dict(zip(names, (npho[rows], time_s[rows]), strict=True)))
    options = InferenceOptions(
        bench.path, [str(folder / "events.root")], folder / "p.root", batch, bench.threads, compare_truth=False
    )

    def run_bare() -> None:
        model = ExportedModel.open(bench.path, num_threads=bench.threads, use_gpu=False)
        for first in range(0, num_events, batch):
            model.run(npho[first : first + batch], time_s[first : first + batch])

    turns = [(_seconds(lambda: infer(options)), _seconds(run_bare)) for _ in range(_INFERENCE_TURNS)]
    (whole, whole_cpu), (bare, bare_cpu) = np.median(turns, axis=0).tolist()
    return [
        _row(bench, "infer.events_per_s", num_events / whole, "events/s", num_events / bare, num_events),
        _row(bench, "infer_loss", 100.0 * (1.0 - bare_cpu / whole_cpu), "%", 10.0, num_events),
    ]


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the time on the wall and the processor time of all threads that a piece of work takes."""
    start, start_cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - start_cpu


def _row(
    bench: Bench, name: str, value: float, unit: str, reference: float, num_events: int | None = None
) -> BenchmarkRow:
    context = machine_context() | {"model_threads": bench.threads}
    return BenchmarkRow(name, value, unit, reference=reference, n=num_events or bench.repeat, context=context)


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bench = build(options.preset, folder, options.threads, options.repeat)
        rows = [
            *speed_rows(bench),
            *parity_rows(bench, options.events, folder),
            *inference_rows(bench, options.events, folder),
        ]
    print_rows(rows, as_json=options.json)
    return EXIT_DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--preset", default="base", help="of configs/regressor (default: base)")
    parser.add_argument("--events", type=int, default=1000, help="events of the comparison (default: 1000)")
    parser.add_argument("--repeat", type=int, default=15, help="measurements, of which the median counts (default: 15)")
    parser.add_argument("--threads", type=int, default=2, help="threads of the model (default: 2)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
