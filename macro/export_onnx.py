"""Export the regressor of a checkpoint as an ONNX file: raw npho and time in, physical quantities out."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE, run_command


def main(arguments: Sequence[str]) -> int:
    """Parse, export, tell."""
    options = _parse(arguments)
    # Torch takes seconds to import; the help need not wait for it.
    from lib.export.regressor_export import export_regressor  # noqa: PLC0415
    from lib.tasks.restore import load_trained  # noqa: PLC0415
    from lib.training.checkpoint import load_weights  # noqa: PLC0415

    trained = load_trained(options.checkpoint)
    if not options.ema:
        load_weights(trained.model, trained.checkpoint.model, options.checkpoint)
    report = export_regressor(trained, options.output, tasks=options.tasks)
    print(f"{report.path}: {report.size_bytes / 1e6:.1f} MB; equal to the checkpoint within, in units of each spread:")
    for output in report.metadata.outputs:
        difference = report.differences[output.name]
        print(f"  {output.name:8s} {', '.join(output.labels):12s} {output.unit:4s} {difference:.1e}")
    return EXIT_DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python macro/export_onnx.py", description=__doc__)
    parser.add_argument("checkpoint", type=Path, metavar="CKPT", help="checkpoint of lib.train_regressor")
    parser.add_argument("--output", type=Path, required=True, metavar="X.onnx", help="file to write")
    parser.add_argument("--tasks", nargs="+", default=[], metavar="TASK", help="the outputs wanted; all by default")
    parser.add_argument(
        "--ema",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="take the averaged weights where the training kept some",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
