"""Check a training and hand it to SLURM; the scripts in scan_param call this."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE, run_command
from lib.cli.schemas import SCHEMAS


def main(arguments: Sequence[str]) -> int:
    """Read the environment, check, submit or show."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.submit",
        description=__doc__,
        epilog="What is trained and on what is said by environment variables; see docs/slurm.md.",
    )
    parser.add_argument("kind", choices=sorted(SCHEMAS), help="which training")
    parser.add_argument(
        "--set", dest="assignments", action="append", default=[], metavar="SECTION.KEY=VALUE", help="override a setting"
    )
    options = parser.parse_args(arguments)
    # Torch takes seconds to import.
    from lib.cluster.batch_system import submit  # noqa: PLC0415
    from lib.cluster.job_script import job_script  # noqa: PLC0415
    from lib.cluster.settings import cluster_settings, is_dry_run  # noqa: PLC0415
    from lib.cluster.training_job import JOB_FOLDER, read_request, require_sound, training_job  # noqa: PLC0415

    settings = cluster_settings(os.environ)
    request = read_request(options.kind, os.environ, options.assignments)
    script = job_script(training_job(request, Path.cwd()), settings)
    require_sound(request)
    if is_dry_run(os.environ):
        sys.stdout.write(script)
        return EXIT_DONE
    job_id = submit(script, request.folder / JOB_FOLDER / "job.sh")
    sys.stdout.write(f"job {job_id}: {request.run_name}, output in {request.folder / JOB_FOLDER}/{job_id}.log\n")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
