"""Run a sweep: one configuration with settings that vary, on this machine or as an array job under SLURM."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib.cli.entry import EXIT_DONE, run_command
from lib.cluster.settings import cluster_settings, is_dry_run

if TYPE_CHECKING:
    from lib.cluster.sweep_folder import SweepFolder


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lib.sweep", description=__doc__)
    parser.add_argument(
        "sweep", type=Path, metavar="SWEEP", help="file of the sweep, or its folder once it was started"
    )
    parser.add_argument("--local", type=int, metavar="N", help="run here, N points at a time, instead of submitting")
    parser.add_argument("--retry", action="store_true", help="try failed points again")
    parser.add_argument("--status", action="store_true", help="only tell how far the points are")
    parser.add_argument("--save_dir", type=Path, default=Path("artifacts"), help="where sweeps have their folders")
    parser.add_argument("--point", type=int, metavar="I", help="run this point alone; what the jobs of a sweep do")
    parser.add_argument("--processes", type=int, default=1, metavar="P", help="processes of each training (default: 1)")
    options = parser.parse_args(arguments)
    if options.local is not None and options.local < 1:
        parser.error(f"--local: expected a number from 1 on, got {options.local}")
    return options


def main(arguments: Sequence[str]) -> int:
    """Open the sweep and do with it what is asked for."""
    options = _parse(arguments)
    from lib.cluster.point_run import run_point, tell  # noqa: PLC0415

    if options.point is not None:
        return run_point(_open(options), options.point, options.processes)
    folder = _open(options)
    if options.status:
        sys.stdout.write(tell(folder))
        return EXIT_DONE
    code = _run_here(folder, options) if options.local else _submit(folder, options)
    if not is_dry_run(os.environ):
        sys.stdout.write(tell(folder))
    return code


def _open(options: argparse.Namespace) -> "SweepFolder":
    from lib.cluster.sweep_config import SweepConfig  # noqa: PLC0415
    from lib.cluster.sweep_folder import SweepFolder  # noqa: PLC0415
    from lib.config import load_config  # noqa: PLC0415

    if options.sweep.is_dir():
        return SweepFolder.open(options.sweep)
    beside = Path("scan_param") / options.sweep
    path = beside if beside.exists() and not options.sweep.exists() else options.sweep
    sweep = load_config(SweepConfig, path)
    return SweepFolder.create(sweep, options.save_dir, dry=options.status or is_dry_run(os.environ))


def _run_here(folder: "SweepFolder", options: argparse.Namespace) -> int:
    from lib.cluster.local_run import LocalRun  # noqa: PLC0415
    from lib.cluster.sweep_submission import open_points  # noqa: PLC0415

    return LocalRun(folder, options.local).run(open_points(folder, retry=options.retry))


def _submit(folder: "SweepFolder", options: argparse.Namespace) -> int:
    from lib.cluster.batch_system import submit  # noqa: PLC0415
    from lib.cluster.job_script import job_script  # noqa: PLC0415
    from lib.cluster.sweep_submission import note_job, open_points, sweep_job, without_queued  # noqa: PLC0415

    indices = without_queued(folder, open_points(folder, retry=options.retry))
    if not indices:
        return EXIT_DONE
    settings = cluster_settings(os.environ)
    script = job_script(sweep_job(folder, indices, Path.cwd(), max(settings.gpus, 1)), settings)
    if is_dry_run(os.environ):
        sys.stdout.write(script)
        return EXIT_DONE
    job = submit(script, folder.folder / "slurm" / "job.sh")
    note_job(folder, indices, job)
    sys.stdout.write(f"job {job}: {len(indices)} points of {folder.sweep.name}\n")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
