"""Compare a checkpoint with its exported file on ROOT files: torch, ONNX Runtime in Python, and in C++.

Example: python macro/validate_onnx.py model.onnx artifacts/my_run/checkpoint_best.pth --input 'data/test/*.root'
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib.cli.argument_types import positive_number, renamed_branch
from lib.cli.entry import EXIT_DONE, run_command

if TYPE_CHECKING:
    from lib.evaluation.benchmark_row import BenchmarkRow
    from lib.export.validation import Validation

CPP = Path(__file__).resolve().parent / "cpp"


def main(arguments: Sequence[str]) -> int:
    """Compare, print, and refuse what differs."""
    options = _parse(arguments)
    # Torch takes seconds to import; the help need not wait for it.
    import tempfile  # noqa: PLC0415

    import torch  # noqa: PLC0415

    from lib.cli.benchmark_command import print_rows  # noqa: PLC0415
    from lib.evaluation.comparison import format_comparison  # noqa: PLC0415
    from lib.export.cpp_program import build_program  # noqa: PLC0415
    from lib.export.validation import ValidationOptions, validate_export  # noqa: PLC0415
    from lib.tasks.restore import load_trained  # noqa: PLC0415

    torch.set_num_threads(options.num_threads)
    trained = load_trained(options.checkpoint, averaged=options.ema)
    inpainter = load_trained(options.inpainter, averaged=options.ema) if options.inpainter else None
    program = build_program([CPP / "xec_predict.cpp", CPP / "xec_model.cpp"]) if options.cpp else None
    with tempfile.TemporaryDirectory() as scratch:
        result = validate_export(
            trained,
            inpainter,
            ValidationOptions(
                model=options.model,
                inputs=options.input,
                program=program,
                scratch=Path(scratch),
                num_events=options.events,
                batch_size=options.batch_size,
                num_threads=options.num_threads,
                repeat=options.repeat,
                compare_truth=options.compare_truth,
                branches=dict(options.branch),
            ),
        )
    print_rows(_rows(result, options.batch_size), as_json=options.json)
    if result.resolutions and not options.json:
        print(format_comparison(result.resolutions), end="")
    result.check()
    return EXIT_DONE


def _rows(result: "Validation", batch_size: int) -> list["BenchmarkRow"]:
    from lib.evaluation.benchmark_row import BenchmarkRow  # noqa: PLC0415

    n = result.num_events
    rows = []
    for found, place in zip(result.differences, result.places, strict=True):
        name = f"difference.{found.form}.{found.output}"
        worst = {"worst_event": place}
        rows.append(BenchmarkRow(name, found.largest, "spread", reference=result.tolerance, n=n, context=worst))
        rows.append(BenchmarkRow(f"{name}.99.9%", found.typical, "spread", reference=result.tolerance, n=n))
    for form, summaries in result.resolutions.items():
        for one in summaries:
            value, error = one.quantile.value, one.quantile.error
            rows.append(BenchmarkRow(f"resolution.{form}.{one.name}", value, one.unit, error, n=one.num_events))
    torch = result.speeds[0]
    for speed in result.speeds:
        rows.append(BenchmarkRow(f"latency.{speed.form}", speed.latency_ms, "ms", reference=torch.latency_ms))
        throughput = f"throughput.{speed.form}.batch{batch_size}"
        rows.append(BenchmarkRow(throughput, speed.events_per_s, "events/s", reference=torch.events_per_s))
    return rows


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python macro/validate_onnx.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, metavar="X.onnx", help="file of macro/export_onnx.py")
    parser.add_argument("checkpoint", type=Path, metavar="CKPT", help="checkpoint that it was exported from")
    parser.add_argument(
        "--input", nargs="+", required=True, metavar="PATH", help="ROOT files, URLs, folders, quoted globs or lists"
    )
    parser.add_argument("--inpainter", type=Path, metavar="CKPT", help="checkpoint of the inpainter, for a chain")
    parser.add_argument(
        "--ema",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="the file holds the averaged weights where the training kept some",
    )
    parser.add_argument(
        "--events", type=positive_number, default=10_000, metavar="N", help="the first N events of the input"
    )
    parser.add_argument(
        "--batch_size", type=positive_number, default=64, metavar="N", help="events per run of the model"
    )
    parser.add_argument("--num_threads", type=positive_number, default=1, metavar="N", help="threads of each form")
    parser.add_argument("--repeat", type=positive_number, default=9, metavar="N", help="timed runs; the median counts")
    parser.add_argument(
        "--compare_truth",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="resolutions of each form against the truth of the input",
    )
    parser.add_argument("--cpp", action=argparse.BooleanOptionalAction, default=True, help="build and run C++ too")
    parser.add_argument(
        "--branch",
        type=renamed_branch,
        action="append",
        default=[],
        metavar="NAME=NAME_IN_FILE",
        help="what a branch is called in the input, if not as in the training; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
