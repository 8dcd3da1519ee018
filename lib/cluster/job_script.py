"""Batch scripts as text: everything that comes from outside is quoted or was checked letter by letter."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.cli.entry import EXIT_DISAGREEMENT, EXIT_REQUEUE
from lib.cluster.settings import ClusterSettings
from lib.errors import ConfigError

MAX_RESTARTS = 200

# Codes up to this one say that the training is done, or will not go on by itself.
LAST_VERDICT = EXIT_DISAGREEMENT
# Restarts in a row of a run that nobody told to stop and that saved nothing: it fails for a reason of its own.
VAIN_RESTARTS = 3

# The batch system cuts its directives at blanks and has its own quoting; what needs none is enough.
_PLAIN = re.compile(r"[A-Za-z0-9_./%+=@-]+")

# Waiting is interrupted by every signal that has a trap, so it is taken up again until the child is gone.
_BODY = """\
# shellcheck disable=SC2154,SC2317
set -u
cd {folder} || exit 2
# shellcheck source=/dev/null
source scan_param/find_python.sh || exit 2
child=
told=0
pass_on() {{
  told=1
  if [[ -n "$child" ]]; then kill -USR1 "$child" 2>/dev/null; fi
}}
trap pass_on USR1 TERM
saved() {{ stat -c "%i %Y" {checkpoint} 2>/dev/null || echo nothing; }}
before=$(saved)
again=()
if [[ -e {checkpoint} ]]; then again=(--resume_from auto); fi
{command} "${{again[@]}}" &
child=$!
code=0
while true; do
  wait "$child"
  code=$?
  if ((code > 128)) && kill -0 "$child" 2>/dev/null; then continue; fi
  break
done
# The run has saved itself and wants to go on, or lost one of its processes.
if ((code == {requeue} || (told && code > {last_verdict}))); then
  limit={max_restarts}
  if ((!told)) && [[ "$(saved)" == "$before" ]]; then limit={vain_restarts}; fi
  if [[ -n "${{SLURM_JOB_ID:-}}" ]] && ((${{SLURM_RESTART_COUNT:-0}} < limit)); then
    echo "ended with code $code; back into the queue (restart ${{SLURM_RESTART_COUNT:-0}})"
    scontrol requeue "$SLURM_JOB_ID" && exit 0
  fi
fi
exit "$code"
"""


@dataclass(frozen=True)
class Job:
    """One batch job.

    Attributes:
        name: Shown in the queue; letters, digits and ``. _ + = -`` only.
        folder: Folder of the project, in which the job runs.
        log: Where its output goes; may hold the batch system's ``%j``, ``%A`` and ``%a``.
        arguments: What Python is called with, such as ``-m lib.train_mae --config X``.
        array: Indices of an array job, each of which replaces ``{index}`` in the arguments.
        at_a_time: Array tasks that may run together; None for all.
        own_checkpoint: The job goes on from it once it is there; None for jobs that find their place themselves.
        is_distributed: Whether one process per GPU is wanted.
    """

    name: str
    folder: Path
    log: str
    arguments: Sequence[str]
    array: Sequence[int] = ()
    at_a_time: int | None = None
    own_checkpoint: Path | None = None
    is_distributed: bool = True


def job_script(job: Job, settings: ClusterSettings) -> str:
    """Return the batch script of a job.

    It asks for a signal before the time limit, passes it to the training, and puts itself back into the queue when
    the training was saved and is not done.

    Raises:
        ConfigError: If name or log of the job cannot stand in a script, or if it wants nodes that it would not use.
    """
    if settings.nodes > 1 and not job.is_distributed:
        raise ConfigError(f"NUM_NODES={settings.nodes}: each task of this job works on one node. Set it to 1.")
    launcher = _launcher(job, settings)
    arguments = " ".join(_quoted(argument) for argument in job.arguments)
    body = _BODY.format(
        folder=shlex.quote(str(job.folder)),
        command=f"{launcher} {arguments}",
        checkpoint=shlex.quote(str(job.own_checkpoint or "")),
        requeue=EXIT_REQUEUE,
        last_verdict=LAST_VERDICT,
        max_restarts=MAX_RESTARTS,
        vain_restarts=VAIN_RESTARTS,
    )
    return "\n".join(["#!/bin/bash", *_directives(job, settings), body])


def _quoted(argument: str) -> str:
    """Return an argument for the shell, with the index of an array task where it stands for one."""
    return '"$SLURM_ARRAY_TASK_ID"' if argument == "{index}" else shlex.quote(argument)


def _directives(job: Job, settings: ClusterSettings) -> list[str]:
    for text in (job.name, job.log):
        if not _PLAIN.fullmatch(text):
            raise ConfigError(
                f"{text!r} cannot stand in a batch script: letters, digits and . _ + = @ - / only. Choose another "
                "mlflow.run_name or checkpoint.save_dir."
            )
    wanted: dict[str, object | None] = {
        "job-name": job.name,
        "output": job.log,
        "open-mode": "append",
        "time": settings.time,
        "partition": settings.partition,
        "account": settings.account,
        "constraint": settings.constraint,
        "nodes": settings.nodes,
        "ntasks-per-node": 1,
        "cpus-per-task": settings.cpus,
        "mem": settings.memory,
        "gres": f"gpu:{settings.gpus}" if settings.gpus else None,
        "signal": f"B:USR1@{settings.warning_seconds}",
        "array": _array(job),
    }
    lines = [f"#SBATCH --{name}={value}" for name, value in wanted.items() if value is not None]
    return [*lines, "#SBATCH --requeue"]


def _array(job: Job) -> str | None:
    if not job.array:
        return None
    limit = f"%{job.at_a_time}" if job.at_a_time else ""
    return ",".join(_ranges(job.array)) + limit


def _ranges(indices: Sequence[int]) -> list[str]:
    """Return sorted indices as ``first-last`` ranges; a list of a thousand would exceed what the queue accepts."""
    ranges: list[list[int]] = []
    for index in sorted(indices):
        if ranges and index == ranges[-1][1] + 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    return [f"{first}-{last}" if last > first else str(first) for first, last in ranges]


def _launcher(job: Job, settings: ClusterSettings) -> str:
    """Return the command before the arguments: Python, or the launcher of several processes, on each node one."""
    processes = max(settings.gpus, 1)
    if not job.is_distributed or (processes == 1 and settings.nodes == 1):
        return '"$python"'
    launch = f'"$python" -m lib.launch --nproc_per_node={processes}'
    if settings.nodes == 1:
        return f"{launch} --standalone"
    # All nodes of the job meet at its first one, where another job may meet as well.
    port = "$((20000 + SLURM_JOB_ID % 10000))"
    meeting = f'--rdzv_backend=c10d --rdzv_id="$SLURM_JOB_ID" --rdzv_endpoint="$(hostname):{port}"'
    return f"srun --kill-on-bad-exit=1 {launch} --nnodes={settings.nodes} {meeting}"
