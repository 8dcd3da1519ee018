"""Draw metrics of runs in MLflow against the epoch, one panel per metric.

Examples:
    python macro/plot_mlflow.py val/loss grad_norm_max --output curves.pdf
    python macro/plot_mlflow.py val/loss --filter "tags.sweep = 'energy'" --best 5 --output sweep.png
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE, run_command


def main(arguments: Sequence[str]) -> int:
    """Run the macro."""
    options = _parse(arguments)
    # MLflow and matplotlib take seconds to import; the help need not wait for them.
    from lib.evaluation.drawing.figure_file import check_figure_suffix, save_figure  # noqa: PLC0415
    from lib.evaluation.runs.metric_figure import draw_metrics, read_histories  # noqa: PLC0415
    from lib.training.records.tracking import tracking_uri  # noqa: PLC0415

    check_figure_suffix(options.output)
    runs = read_histories(
        tracking_uri(), options.experiment, options.metric, search=options.filter, num_best=options.best
    )
    save_figure(draw_metrics(runs, options.metric), options.output)
    print(f"{options.output}: {len(runs)} runs")
    return EXIT_DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python macro/plot_mlflow.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("metric", nargs="+", help="metric as MLflow names it, such as val/loss")
    parser.add_argument("--experiment", default="xec", help="experiment that holds the runs")
    parser.add_argument("--filter", default="", help="only runs that MLflow finds by this search")
    parser.add_argument("--best", type=int, default=8, metavar="N", help="so many runs of the lowest val/loss_best")
    parser.add_argument("--output", type=Path, required=True, help="figure to write: .png, .pdf or .svg")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
