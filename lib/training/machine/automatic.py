"""Choices that are made where the configuration leaves them open, each with its reason in one line of the log."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from lib.training.config import CompileMode, TrainingConfig
from lib.training.machine.compile_rungs import next_rung
from lib.training.machine.probes import Answer, probe_compiler, probe_workers, remembered
from lib.training.platform import Platform

logger = logging.getLogger(__name__)

MOST_WORKERS = 4
CORES_PER_WORKER = 4

CompilerProbe = Callable[[str, CompileMode], Answer]
WorkerProbe = Callable[[], Answer]


@dataclass(frozen=True)
class CompileChoice:
    """How the model is compiled, and why.

    Attributes:
        mode: The mode.
        reason: In a few words.
    """

    mode: CompileMode
    reason: str


def ask_compiler(device: str, mode: CompileMode) -> Answer:
    """Return whether the compiler works here, from memory or by a trial."""
    return remembered(f"compiler {device} {mode}", lambda: _announced(device, mode))


def _announced(device: str, mode: CompileMode) -> Answer:
    logger.info("trying torch.compile in mode %s in a child process, once for this machine; up to five minutes", mode)
    return probe_compiler(device, mode)


def ask_workers() -> Answer:
    """Return whether loader processes work here, from memory or by a trial."""
    return remembered("workers", probe_workers)


def choose_compile_mode(
    config: TrainingConfig, machine: Platform, device: str, probe: CompilerProbe = ask_compiler
) -> CompileChoice:
    """Return the highest mode, from the configured one down, that the compiler of this machine manages.

    Args:
        config: ``compile`` and ``compile_probe``.
        machine: Where it is.
        device: cuda or cpu.
        probe: Tells whether a mode works.
    """
    wanted = config.compile_mode
    if wanted == "none":
        return CompileChoice("none", "configured")
    if wanted == "auto" and device == "cpu":
        return CompileChoice("none", "compiling for a CPU takes minutes and brings nothing")
    mode: CompileMode = "reduce-overhead" if wanted == "auto" else wanted
    reason = f"chosen for {machine.kind}" if wanted == "auto" else "configured"
    if not config.compile_probe:
        return CompileChoice(mode, f"{reason}, not probed")
    while mode != "none":
        answer = probe(device, mode)
        if answer.works:
            break
        reason = f"{mode} does not work here: {answer.reason}"
        logger.warning("torch.compile: %s", reason)
        mode = next_rung(mode)
    if mode == "none" and machine.is_arm:
        # Worded as users' scripts look for it.
        logger.warning("[INFO] ARM architecture detected - disabling torch.compile")
    return CompileChoice(mode, reason)


def choose_num_workers(machine: Platform, probe: WorkerProbe = ask_workers) -> int:
    """Return how many loader processes feed one training process, and log why.

    Args:
        machine: Where it is.
        probe: Tells whether processes can be spawned.
    """
    if machine.kind == "cpu":
        return _chosen(0, "on a CPU they would take cores from the model")
    wanted = min(MOST_WORKERS, machine.cores // CORES_PER_WORKER)
    if wanted == 0:
        return _chosen(0, f"{machine.cores} cores are too few")
    answer = probe()
    if not answer.works:
        return _chosen(0, f"two spawned processes failed: {answer.reason}")
    return _chosen(wanted, f"{machine.cores} cores, and two spawned processes worked")


def _chosen(workers: int, reason: str) -> int:
    logger.info("data.num_workers: %d, because %s", workers, reason)
    return workers
