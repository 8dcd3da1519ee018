"""Say how well an inpainter restores sensors, on simulation or data, beside the conventional methods.

Example: python macro/validate_inpainter.py artifacts/my_run/checkpoint_best.pth --val_path data/test --output_dir out

Hides the sensors of --dead_channels (the pattern of a run applied to simulated events), or else a share of each event.
These are compared with what they measured, or with the expected light where the files have it. Channels without a value
are truly dead: they are restored beside them and flagged, event by event, and left out of all figures. A masked
autoencoder is validated the same way: --mask_ratio 0.6.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE, run_command

METHODS = ("neighbours", "solid_angle", "light_fit")


def main(arguments: Sequence[str]) -> int:
    """Run the macro."""
    options = _parse(arguments)
    # Torch and matplotlib take seconds to import; the help need not wait for them.
    from lib.data.config import DataConfig  # noqa: PLC0415
    from lib.data.dead_channels import read_dead_channels  # noqa: PLC0415
    from lib.evaluation.restoration.restoration_report import write_restoration_report  # noqa: PLC0415
    from lib.evaluation.restoration.restoration_trial import HiddenChoice  # noqa: PLC0415
    from lib.evaluation.restoration.restorer import ConventionalRestorer, restorer_of  # noqa: PLC0415
    from lib.tasks.restore import load_trained  # noqa: PLC0415
    from lib.training.machine.device import choose_device  # noqa: PLC0415

    trained = load_trained(options.model)
    model = restorer_of(trained, options.model, choose_device())
    npho_branch, time_branch = model.input_branches
    config = DataConfig(
        train_path=options.val_path,
        val_path=options.val_path,
        tree_name=trained.checkpoint.config["data"]["tree_name"],
        npho_branch=npho_branch,
        time_branch=time_branch,
        batch_size=options.batch_size,
        fiducial=options.fiducial,
        cut=options.cut,
    )
    pattern = read_dead_channels(options.dead_channels).numpy() if options.dead_channels else None
    report = write_restoration_report(
        (model, *(ConventionalRestorer(method) for method in options.methods)),
        trained.checkpoint,
        config,
        HiddenChoice(pattern, options.mask_ratio),
        options.output_dir,
        run_name=options.run_name or options.model.stem,
        seed=options.seed,
    )
    print(report.text, end="")
    print("\n".join(str(path) for path in report.paths))
    return EXIT_DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python macro/validate_inpainter.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("model", type=Path, metavar="CKPT", help="checkpoint of an inpainter or a masked autoencoder")
    parser.add_argument("--val_path", nargs="+", required=True, help="ROOT files, folders, quoted globs or lists")
    parser.add_argument("--output_dir", type=Path, required=True, help="where rows and figures are written")
    parser.add_argument("--dead_channels", type=Path, metavar="FILE", help="sensor ids to hide in every event, as text")
    parser.add_argument("--mask_ratio", type=float, default=0.05, help="share to hide without a list (default: 0.05)")
    parser.add_argument(
        "--methods", nargs="*", choices=METHODS, default=["neighbours", "solid_angle"], help="to compare with"
    )
    parser.add_argument("--fiducial", action="store_true", help="only events that convert in the fiducial volume")
    parser.add_argument("--cut", help='only events that fulfil this, such as "energyTruth > 0.05"')
    parser.add_argument("--seed", type=int, default=0, help="of the hidden sensors")
    parser.add_argument("--run_name", help="end of the names of all files; by default the name of the model's file")
    parser.add_argument("--batch_size", type=int, default=256, help="events at a time")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
