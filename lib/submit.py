"""Check a training and hand it to SLURM, or simulate or pack data there; the scripts in scan_param call this."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE, run_command
from lib.cli.schemas import SCHEMAS
from lib.cluster.batch_system import submit
from lib.cluster.data_jobs import cache_job, simulation_job
from lib.cluster.job_script import Job, job_script
from lib.cluster.settings import ClusterSettings, cluster_settings, is_dry_run

DATA_JOBS = ("simulation", "cache")


def main(arguments: Sequence[str]) -> int:
    """Read the environment, check, submit or show."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.submit",
        description=__doc__,
        epilog="What is wanted is said by environment variables, see docs/slurm.md; further arguments are --set "
        "SECTION.KEY=VALUE for trainings, and those of lib.simulate and macro/build_cache.py for data.",
    )
    parser.add_argument("what", choices=[*sorted(SCHEMAS), *DATA_JOBS], help="which training, or which data")
    options, extra = parser.parse_known_args(arguments)
    settings = cluster_settings(os.environ)
    if options.what in SCHEMAS:
        return _submit_training(options.what, settings, _assignments(parser, extra))
    if options.what == "cache":
        return _hand_over(cache_job(os.environ, Path.cwd(), extra), settings)
    return _hand_over(simulation_job(os.environ, settings, Path.cwd(), extra), settings)


def _assignments(parser: argparse.ArgumentParser, extra: Sequence[str]) -> list[str]:
    """Return what stands after ``--set``; anything else is a mistake."""
    own = argparse.ArgumentParser(prog=parser.prog, add_help=False)
    own.add_argument("--set", action="append", default=[])
    assignments: list[str] = own.parse_args(extra).set
    return assignments


def _submit_training(kind: str, settings: ClusterSettings, assignments: Sequence[str]) -> int:
    # Torch takes seconds to import.
    from lib.cluster.training_job import read_request, require_sound, training_job  # noqa: PLC0415

    request = read_request(kind, os.environ, assignments)
    job = training_job(request, Path.cwd())
    # Written before the check, which takes longer, so that a name that cannot stand in it is told at once.
    job_script(job, settings)
    require_sound(request)
    return _hand_over(job, settings)


def _hand_over(job: Job, settings: ClusterSettings) -> int:
    script = job_script(job, settings)
    if is_dry_run(os.environ):
        sys.stdout.write(script)
        return EXIT_DONE
    folder = Path(job.log).parent
    job_id = submit(script, folder / f"{job.name}.sh")
    sys.stdout.write(f"job {job_id}: {job.name}, output in {folder}\n")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
