"""Export the model of a checkpoint as an ONNX file: raw npho and time in, physical quantities out."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib.cli.entry import EXIT_DONE, run_command

if TYPE_CHECKING:
    from lib.tasks.restore import TrainedModel


def main(arguments: Sequence[str]) -> int:
    """Parse, export, tell."""
    options = _parse(arguments)
    # Torch takes seconds to import; the help need not wait for it.
    from lib.export.model_export import ExportOptions, export_model  # noqa: PLC0415
    from lib.tasks.restore import load_trained  # noqa: PLC0415

    _refuse_int8(options.precision)
    trained = load_trained(options.checkpoint, averaged=options.ema)
    inpainter = load_trained(options.inpainter, averaged=options.ema) if options.inpainter else None
    chosen = ExportOptions(options.tasks, inpainter, options.precision, options.opset)
    report = export_model(trained, options.output, chosen)
    print(f"{report.path}: {report.size_bytes / 1e6:.1f} MB; equal to the checkpoint within, in units of each spread:")
    for output in report.metadata.outputs:
        difference = report.differences[output.name]
        print(f"  {output.name:13s} {', '.join(output.labels):12s} {output.unit:4s} {difference:.1e}")
    if options.register:
        print(_register(trained, options.output))
    return EXIT_DONE


def _register(trained: "TrainedModel", output: Path) -> str:
    from lib.training.config import MlflowConfig  # noqa: PLC0415
    from lib.training.records.model_registration import register_export  # noqa: PLC0415

    checkpoint = trained.checkpoint
    config = MlflowConfig.model_validate(checkpoint.config["mlflow"])
    name = config.model_name(checkpoint.kind)
    return f"version {register_export(output, checkpoint.run_key, config.experiment, name)} of {name} in MLflow"


def _refuse_int8(precision: str) -> None:
    from lib.errors import ExportError  # noqa: PLC0415

    if precision == "int8":
        raise ExportError(
            "Precision int8 is refused: no calibration keeps every resolution within 1 % of itself so far. "
            "Take fp32, or fp16 for a GPU."
        )


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python macro/export_onnx.py", description=__doc__)
    parser.add_argument("checkpoint", type=Path, metavar="CKPT", help="checkpoint of any of the three trainings")
    parser.add_argument("--output", type=Path, required=True, metavar="X.onnx", help="file to write")
    parser.add_argument("--tasks", nargs="+", default=[], metavar="TASK", help="the outputs wanted; all by default")
    parser.add_argument(
        "--inpainter", type=Path, metavar="CKPT", help="restore dead sensors with this before the regressor sees them"
    )
    parser.add_argument(
        "--ema",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="take the averaged weights where the training kept some",
    )
    parser.add_argument(
        "--precision", choices=("fp32", "fp16", "int8"), default="fp32", help="numbers that it computes in"
    )
    parser.add_argument(
        "--register", action="store_true", help="log it in MLflow as the model of its run, and register it"
    )
    parser.add_argument("--opset", type=int, default=20, metavar="N", help="version of the operations; 20 by default")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
