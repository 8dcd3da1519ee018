"""Say everything about a regressor on some events: tables, resolutions, saliency, face weights, worst events.

Example: python macro/validate_regressor.py artifacts/my_run/checkpoint_best.pth --val_path data/test --output_dir out
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE, run_command


def main(arguments: Sequence[str]) -> int:
    """Run the macro."""
    options = _parse(arguments)
    # Torch and matplotlib take seconds to import; the help need not wait for them.
    from lib.data.config import DataConfig  # noqa: PLC0415
    from lib.data.dead_channels import read_dead_channels  # noqa: PLC0415
    from lib.evaluation.comparison import format_comparison, format_summaries  # noqa: PLC0415
    from lib.evaluation.drawing.calibration_figure import describe_calibration  # noqa: PLC0415
    from lib.evaluation.predictors import open_predictor  # noqa: PLC0415
    from lib.evaluation.raw_events import RawEvents  # noqa: PLC0415
    from lib.evaluation.reference import conventional_summaries  # noqa: PLC0415
    from lib.evaluation.run_report import write_report  # noqa: PLC0415
    from lib.evaluation.statistics.bounds import read_bounds  # noqa: PLC0415
    from lib.training.machine.device import choose_device  # noqa: PLC0415

    predictor = open_predictor(options.model, choose_device())
    npho_branch, time_branch = predictor.input_branches
    config = DataConfig(
        train_path=options.val_path,
        val_path=options.val_path,
        tree_name=predictor.tree_name,
        npho_branch=npho_branch,
        time_branch=time_branch,
        batch_size=options.batch_size,
        fiducial=options.fiducial,
        cut=options.cut,
    )
    events = RawEvents(config, predictor.truth_branches)
    dead = read_dead_channels(options.dead_channels) if options.dead_channels else None
    run_name = options.run_name or options.model.stem
    report = write_report(predictor, events, options.output_dir, run_name, dead=dead)
    tasks = report.evaluation.tasks.values()
    summaries = [one for task in tasks for one in task.summaries()]
    print(format_summaries(summaries), end="")
    for task in tasks:
        for calibration in task.calibration_summaries():
            print(describe_calibration(calibration).replace("$\\sigma$", "sigma"))
    if options.conventional:
        conventional = conventional_summaries(options.conventional, events, list(report.evaluation.tasks), dead=dead)
        bounds = read_bounds(options.bounds) if options.bounds else None
        print(format_comparison({"regressor": summaries, "conventional": conventional}, bounds), end="")
    print(f"{len(report.paths)} files in {options.output_dir}")
    return EXIT_DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python macro/validate_regressor.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("model", type=Path, metavar="CKPT_or_ONNX", help="checkpoint, or exported file")
    parser.add_argument("--val_path", nargs="+", required=True, help="ROOT files, folders, quoted globs or lists")
    parser.add_argument("--output_dir", type=Path, required=True, help="where tables and figures are written")
    parser.add_argument("--dead_channels", type=Path, metavar="FILE", help="sensor ids that are not read, as text")
    parser.add_argument("--fiducial", action="store_true", help="only events that convert in the fiducial volume")
    parser.add_argument("--cut", help='only events that fulfil this, such as "energyTruth > 0.05"')
    parser.add_argument("--conventional", type=Path, metavar="X.npz", help="compare with a fitted reconstruction")
    parser.add_argument(
        "--bounds", type=Path, metavar="X.jsonl", help="the same with bounds, from macro/estimate_bounds.py"
    )
    parser.add_argument("--run_name", help="end of the names of all files; by default the name of the model's file")
    parser.add_argument("--batch_size", type=int, default=256, help="events at a time")
    options = parser.parse_args(arguments)
    if options.bounds and not options.conventional:
        parser.error("--bounds is a column of the table that --conventional asks for")
    return options


if __name__ == "__main__":
    sys.exit(run_command(main))
