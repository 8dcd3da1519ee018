"""Train a regressor with and without pretrained weights at the same budget, over several seeds, and compare.

Example: python macro/compare_pretraining.py --config configs/regressor/base.yaml --init_from my_mae/checkpoint_best.pth
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE, run_command

SCRATCH, PRETRAINED = "from scratch", "pretrained"


def main(arguments: Sequence[str]) -> int:
    """Run the macro."""
    options = _parse(arguments)
    runs: dict[str, list[Path]] = {SCRATCH: [], PRETRAINED: []}
    for seed in range(options.seeds):
        for start, folders in runs.items():
            folder = options.output_dir / f"{start.replace(' ', '_')}_seed{seed}"
            folders.append(folder)
            code = _train(options, folder, start, seed)
            if code != EXIT_DONE:
                print(f"{folder}: the training ended with exit code {code}, so there is nothing to compare")
                return code
    # Matplotlib takes a second to import; the trainings need not wait for it.
    from lib.evaluation.drawing.figure_file import save_figure  # noqa: PLC0415
    from lib.evaluation.runs.learning_curves import draw_curves, format_gains, read_curves  # noqa: PLC0415

    curves = {start: [read_curves(folder) for folder in folders] for start, folders in runs.items()}
    print(format_gains(curves, SCRATCH, PRETRAINED), end="")
    figure = options.output_dir / "compare_pretraining.pdf"
    save_figure(draw_curves(curves), figure)
    print(figure)
    return EXIT_DONE


def _train(options: argparse.Namespace, folder: Path, start: str, seed: int) -> int:
    command = [sys.executable, "-m", "lib.train_regressor", "--config", str(options.config)]
    settings = [
        f"mlflow.run_name={folder.name}",
        f"checkpoint.save_dir={folder.parent}",
        f"training.seed={seed}",
        "checkpoint.save_artifacts=false",
        *options.assignments,
    ]
    command += [part for setting in settings for part in ("--set", setting)]
    # A comparison that was stopped goes on where it was.
    command += ["--resume_from", "auto"]
    if start == PRETRAINED:
        command += ["--init_from", str(options.init_from)]
    return subprocess.run(command, check=False).returncode


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python macro/compare_pretraining.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--config", type=Path, required=True, help="configuration of the regressor")
    parser.add_argument("--init_from", type=Path, required=True, metavar="CKPT", help="checkpoint of the autoencoder")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind")
    parser.add_argument("--output_dir", type=Path, default=Path("artifacts/compare_pretraining"), help="where runs go")
    parser.add_argument(
        "--set", dest="assignments", action="append", default=[], metavar="SECTION.KEY=VALUE", help="for all trainings"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
