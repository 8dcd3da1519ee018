"""Run an exported model over ROOT files and write its predictions, event by event, as a ROOT file."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.argument_types import positive_number, renamed_branch
from lib.cli.entry import EXIT_DONE, run_command


def main(arguments: Sequence[str]) -> int:
    """Parse, build, run."""
    options = _parse(arguments)
    # The runtime and the ROOT library take a second to import; help and mistakes need not wait for them.
    from lib.evaluation.comparison import format_summaries  # noqa: PLC0415
    from lib.export.inference import InferenceOptions, infer  # noqa: PLC0415

    result = infer(
        InferenceOptions(
            model=options.model,
            inputs=options.input,
            output=options.output,
            batch_size=options.batch_size,
            num_threads=options.num_threads,
            compare_truth=options.compare_truth,
            branches=dict(options.branch),
            tasks=options.tasks,
            keep=options.keep,
            recover_dead=options.recover_dead,
        )
    )
    sys.stdout.write(f"{options.output}: {result.num_events} events\n")
    if result.comparison is not None:
        sys.stdout.write(format_summaries(result.comparison.summaries()))
    return EXIT_DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lib.infer", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, metavar="X.onnx", help="file of macro/export_onnx.py")
    parser.add_argument(
        "--input", nargs="+", required=True, metavar="PATH", help="ROOT files, URLs, folders, quoted globs or lists"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="X.root", help="file to write")
    parser.add_argument(
        "--batch_size", type=positive_number, default=32, metavar="N", help="events per run of the model"
    )
    parser.add_argument(
        "--num_threads",
        type=positive_number,
        default=0,
        metavar="N",
        help="threads of the model; by default one per core",
    )
    parser.add_argument(
        "--compare_truth", action="store_true", help="print core width, 68 %% and bias against the truth of the input"
    )
    parser.add_argument("--tasks", nargs="+", default=[], metavar="TASK", help="the outputs wanted; all by default")
    parser.add_argument(
        "--keep", nargs="+", default=[], metavar="BRANCH", help="branches of the input that the output carries too"
    )
    parser.add_argument(
        "--recover_dead",
        action="store_true",
        help="restore sensors without a photon count like those of the branch dead; for a model with an inpainter",
    )
    parser.add_argument(
        "--branch",
        type=renamed_branch,
        action="append",
        default=[],
        metavar="NAME=NAME_IN_FILE",
        help="what a branch is called in the input, if not as in the training (npho=my_npho); may be repeated",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
