"""The points of a sweep as one array job."""

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lib.cluster.job_script import Job
from lib.cluster.sweep_folder import SweepFolder

QUEUE_SECONDS = 30


def open_points(folder: SweepFolder, *, retry: bool) -> list[int]:
    """Return the points that have still to be trained.

    Args:
        folder: The sweep.
        retry: Whether failed ones are tried again.
    """
    wanted = {"waiting", "stopped"} | ({"failed"} if retry else set())
    return [point.index for point in folder.points if folder.state(point.index).state in wanted]


def without_queued(folder: SweepFolder, indices: Sequence[int]) -> list[int]:
    """Return the points whose earlier job is no longer in the queue; without SLURM all of them."""
    queued = _queued_tasks()
    return [index for index in indices if f"{folder.state(index).job}_{index}" not in queued]


def _queued_tasks() -> set[str]:
    """Return ``job_index`` of every array task in the queue."""
    command = ["squeue", "--noheader", "--array", "--me", "--format=%F_%K"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=QUEUE_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return set()
    return set(answer.stdout.split())


def sweep_job(folder: SweepFolder, indices: Sequence[int], root: Path, processes: int) -> Job:
    """Return the array job of some points.

    Args:
        folder: The sweep.
        indices: Which of its points.
        root: Folder of the project.
        processes: Processes of each training, one per GPU.
    """
    arguments = ["-m", "lib.sweep", str(folder.folder), "--point", "{index}", "--processes", str(processes)]
    return Job(
        folder.sweep.name,
        root,
        str(folder.folder / "slurm" / "%A_%a.log"),
        arguments,
        array=indices,
        at_a_time=folder.sweep.at_a_time,
        is_distributed=False,
    )


def note_job(folder: SweepFolder, indices: Sequence[int], job: str) -> None:
    """Note in which job points were submitted; failed ones wait again."""
    for index in indices:
        state = folder.state(index)
        folder.write_state(index, replace(state, job=job, state="waiting" if state.state == "failed" else state.state))
