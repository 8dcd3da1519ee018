"""Draw what an inpainter makes of one event: truth, what is left of it, restored, and their difference.

Example: python macro/show_inpainter_comparison.py artifacts/inpainter/checkpoint_best.pth data/test/run1.root --event 7
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lib.cli.entry import EXIT_DONE, run_command
from lib.data.dead_channels import read_dead_channels
from lib.data.location import input_path
from lib.evaluation.figure_file import check_figure_suffix, save_figure
from lib.evaluation.restoration_display import RestoredEvent, draw_restoration
from lib.evaluation.restorer import open_restorer
from lib.geometry.sensors import NUM_SENSORS
from lib.training.device import choose_device
from macro.show_event import read_event


def main(arguments: Sequence[str]) -> int:
    """Run the macro."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, metavar="CKPT", help="checkpoint of an inpainter")
    parser.add_argument("file", type=input_path, help="ROOT file, or its URL")
    parser.add_argument("--event", type=int, default=0, help="position of the event in the tree, from 0")
    parser.add_argument("--mask_ratio", type=float, default=0.05, help="share of sensors to hide (default: 0.05)")
    parser.add_argument("--dead_channels", type=Path, metavar="FILE", help="sensor ids to hide instead, as text")
    parser.add_argument("--seed", type=int, default=0, help="of the hidden sensors")
    parser.add_argument("--output", type=Path, default=Path("inpainter.png"), help="figure: .png, .pdf or .svg")
    parser.add_argument("--tree", default="tree", help="tree that holds the events")
    options = parser.parse_args(arguments)
    check_figure_suffix(options.output)
    event = read_event(options.file, options.event, options.tree)
    if options.dead_channels:
        hidden = read_dead_channels(options.dead_channels).numpy()
    else:
        hidden = np.random.default_rng(options.seed).random(NUM_SENSORS) < options.mask_ratio
    restorer = open_restorer(options.model, choose_device())
    npho, time = (np.nan_to_num(one, nan=1e10)[None].astype(np.float32) for one in (event.npho, event.time))
    restored = restorer.restore(npho, time, (hidden | event.dead)[None])
    save_figure(draw_restoration(RestoredEvent(event, hidden & ~event.dead, restored.npho[0])), options.output)
    print(f"wrote {options.output}")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
