"""Handing scripts to SLURM."""

import logging
import shutil
import subprocess
from pathlib import Path

from lib.atomic import atomic_path
from lib.errors import UserError

logger = logging.getLogger(__name__)

SUBMIT_SECONDS = 60


class SubmissionError(UserError):
    """The batch system does not take a job."""


def submit(script: str, path: Path) -> str:
    """Write a batch script and hand it to SLURM.

    Args:
        script: Its text.
        path: Where it is kept, so that one can read later what was run.

    Returns:
        Id of the job.

    Raises:
        SubmissionError: If there is no SLURM here or it refuses the job; with its words.
    """
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        raise SubmissionError(
            "sbatch: not found, so this is no machine that submits to SLURM. DRY_RUN=1 shows the script; to train here "
            "run python -m lib.train_... with the same settings."
        )
    with atomic_path(path) as temporary:
        temporary.write_text(script, encoding="utf-8")
    try:
        answer = subprocess.run(
            [sbatch, "--parsable", str(path)], capture_output=True, text=True, timeout=SUBMIT_SECONDS, check=True
        )
    except subprocess.CalledProcessError as error:
        raise SubmissionError(f"sbatch refused {path}: {error.stderr.strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SubmissionError(f"sbatch did not take {path} ({error}). Is the cluster up? Try: sinfo") from error
    # With several clusters the answer is "id;cluster".
    return answer.stdout.strip().partition(";")[0]
