"""Write ROOT files in which dead channels are restored, for analyses that know nothing of them.

Example: python macro/recover_dead_channels.py artifacts/inpainter/checkpoint_best.pth data/run1.root --output_dir out

Dead are the channels of --dead_channels, those that the branch dead names, and those without a photon count. Each
output has run, event, npho and time, with the dead channels filled in, and dead, which says which ones these are.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE, run_command


def main(arguments: Sequence[str]) -> int:
    """Run the macro."""
    options = _parse(arguments)
    # Torch takes seconds to import; the help need not wait for it.
    from lib.data.dead_channels import read_dead_channels  # noqa: PLC0415
    from lib.data.files.paths import resolve_paths  # noqa: PLC0415
    from lib.evaluation.restoration.recovery import recover_file  # noqa: PLC0415
    from lib.evaluation.restoration.restorer import ConventionalRestorer, open_restorer  # noqa: PLC0415
    from lib.training.machine.device import choose_device  # noqa: PLC0415

    if options.model in METHODS:
        restorer = ConventionalRestorer(options.model)
    else:
        restorer = open_restorer(Path(options.model), choose_device())
    dead = read_dead_channels(options.dead_channels).numpy() if options.dead_channels else None
    for path in resolve_paths(options.files):
        output = options.output_dir / Path(str(path)).name
        report = recover_file(path, output, restorer, dead=dead, tree_name=options.tree)
        print(f"{output}: {report.num_events} events, {report.mean_dead:.1f} dead channels each")
    return EXIT_DONE


METHODS = ("neighbours", "solid_angle", "light_fit")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python macro/recover_dead_channels.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("model", metavar="CKPT_or_METHOD", help=f"inpainter, or one of {', '.join(METHODS)}")
    parser.add_argument("files", nargs="+", help="ROOT files, folders, quoted globs or lists")
    parser.add_argument("--output_dir", type=Path, required=True, help="where files of the same names are written")
    parser.add_argument("--dead_channels", type=Path, metavar="FILE", help="sensor ids that are dead, as text")
    parser.add_argument("--tree", default="tree", help="tree that holds the events")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
