"""Command line of the macros that draw what a model restores of one event."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE


def show_restoration(arguments: Sequence[str], *, description: str, mask_ratio: float, output: Path) -> int:
    """Draw an event as the arguments say it.

    Args:
        arguments: After the name of the command.
        description: Of the command, for its help.
        mask_ratio: Share of sensors that is hidden unless the arguments say otherwise.
        output: Likewise.
    """
    options = _parse(arguments, description, mask_ratio, output)
    # Torch and matplotlib take seconds to import; the help need not wait for them.
    import numpy as np  # noqa: PLC0415

    from lib.data.dead_channels import read_dead_channels  # noqa: PLC0415
    from lib.data.files.location import input_path  # noqa: PLC0415
    from lib.evaluation.drawing.event_reading import read_event  # noqa: PLC0415
    from lib.evaluation.drawing.figure_file import check_figure_suffix, save_figure  # noqa: PLC0415
    from lib.evaluation.restoration.restoration_display import describe_restoration, draw_restoration, hide_and_restore  # noqa: PLC0415
    from lib.evaluation.restoration.restorer import ConventionalRestorer, open_restorer  # noqa: PLC0415
    from lib.geometry.sensors import NUM_SENSORS  # noqa: PLC0415
    from lib.training.machine.device import choose_device  # noqa: PLC0415

    check_figure_suffix(options.output)
    event = read_event(input_path(options.file), options.event, options.tree)
    if options.dead_channels:
        hidden = read_dead_channels(options.dead_channels).numpy()
    else:
        hidden = np.random.default_rng(options.seed).random(NUM_SENSORS) < options.mask_ratio
    restorer, mean = open_restorer(options.model, choose_device()), ConventionalRestorer("neighbours")
    shown = hide_and_restore(restorer, event, hidden)
    save_figure(draw_restoration(shown), options.output)
    about = describe_restoration({restorer.name: shown, mean.name: hide_and_restore(mean, event, hidden)})
    sys.stdout.write(f"{about}\nwrote {options.output}\n")
    return EXIT_DONE


def _parse(arguments: Sequence[str], description: str, mask_ratio: float, output: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("model", type=Path, metavar="CKPT", help="checkpoint of an inpainter or a masked autoencoder")
    parser.add_argument("file", help="ROOT file, or its URL")
    parser.add_argument("--event", type=int, default=0, help="position of the event in the tree, from 0")
    parser.add_argument(
        "--mask_ratio", type=float, default=mask_ratio, help=f"share of sensors to hide (default: {mask_ratio})"
    )
    parser.add_argument("--dead_channels", type=Path, metavar="FILE", help="sensor ids to hide instead, as text")
    parser.add_argument("--seed", type=int, default=0, help="of the hidden sensors")
    parser.add_argument("--output", type=Path, default=output, help=f"figure: .png, .pdf or .svg (default: {output})")
    parser.add_argument("--tree", default="tree", help="tree that holds the events")
    return parser.parse_args(arguments)
