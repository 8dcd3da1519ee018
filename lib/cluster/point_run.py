"""One point of a sweep, from where it stands to its end."""

import logging
from dataclasses import replace
from pathlib import Path

from lib.cli.entry import EXIT_DONE, EXIT_REQUEUE
from lib.cluster.child_process import run_child
from lib.cluster.expansion import Point, run_name
from lib.cluster.sweep_config import SweepConfig
from lib.cluster.sweep_folder import PointState, State, SweepFolder
from lib.config.overrides import assignment

logger = logging.getLogger(__name__)

# Codes from here on mean that a signal ended the process.
FIRST_SIGNAL_CODE = 129


def run_point(folder: SweepFolder, index: int, processes: int = 1) -> int:
    """Train a point, or what is left of it, and note how it ended.

    Args:
        folder: The sweep.
        index: Which point.
        processes: Processes of the training, one per GPU.

    Returns:
        Exit code of the training; 0 at once if it is finished already.

    Raises:
        ConfigError: If another process works on the point, or if there is no such point.
    """
    point = folder.point(index)
    with folder.claimed(index):
        state = folder.state(index)
        if state.state == "finished":
            logger.info("point %d of %s is finished already", index, folder.sweep.name)
            return EXIT_DONE
        state = replace(state, state="running", attempts=state.attempts + 1, exit_code=None)
        folder.write_state(index, state)
        code = _run(folder, point, processes)
        folder.write_state(index, replace(state, state=state_after(code), exit_code=code))
    return code


def _run(folder: SweepFolder, point: Point, processes: int) -> int:
    if folder.sweep.optuna is not None:
        # Optuna is an extra, which other sweeps do without.
        from lib.cluster.study import run_worker  # noqa: PLC0415

        return run_worker(folder, point.index, processes)
    name = run_name(folder.sweep, point.index)
    return run_child(training_arguments(folder.sweep, folder.folder, point, name, processes))


def training_arguments(sweep: SweepConfig, folder: Path, point: Point, name: str, processes: int = 1) -> list[str]:
    """Return what Python is called with to train a point, or to go on with it.

    Args:
        sweep: Says what is trained.
        folder: In which the run has its folder.
        point: What the run differs in.
        name: Of the run.
        processes: Processes of the training.
    """
    launcher = ["-m", "lib.launch", "--standalone", f"--nproc_per_node={processes}"] if processes > 1 else []
    texts = [
        *point.assignments(),
        assignment("checkpoint.save_dir", str(folder)),
        assignment("mlflow.run_name", name),
        assignment("mlflow.tags", {"sweep": sweep.name}),
    ]
    settings = [part for text in texts for part in ("--set", text)]
    return [
        *launcher, "-m", f"lib.train_{sweep.kind}", "--config", str(sweep.base), *settings, "--resume_from", "auto",
    ]  # fmt: skip


def state_after(code: int) -> State:
    """Return the state that an exit code leaves a point in."""
    if code == EXIT_DONE:
        return "finished"
    return "stopped" if code == EXIT_REQUEUE or code >= FIRST_SIGNAL_CODE else "failed"


def tell(folder: SweepFolder) -> str:
    """Return a table of the points and their states."""
    lines = [f"{folder.folder}: {len(folder.points)} {'workers' if folder.sweep.optuna else 'points'}"]
    for point in folder.points:
        state = folder.state(point.index)
        lines.append(_line(folder.sweep, point, state))
    return "\n".join(lines) + "\n"


def _line(sweep: SweepConfig, point: Point, state: PointState) -> str:
    ending = "" if state.exit_code in {None, EXIT_DONE} else f" (exit code {state.exit_code})"
    shown = ", ".join(f"{key}={value}" for key, value in point.settings.items())
    return f"{run_name(sweep, point.index)}  {state.state + ending:24s} {shown}"
