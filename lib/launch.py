"""Start a command as several processes by torchrun, and end with the exit code that they ended with.

Takes the arguments of torchrun, which itself ends with 1 whatever its processes say.

Example: python -m lib.launch --standalone --nproc_per_node=4 -m lib.train_mae --config configs/mae/base.yaml
"""

import signal
import sys
from collections.abc import Iterable, Sequence

from lib.cli.entry import EXIT_DONE, EXIT_REQUEUE, EXIT_USER_ERROR, run_command
from lib.errors import ConfigError

EXIT_FAILED = 1

# A job that is told to end has this long to save itself; SLURM's own grace ends it earlier where it is shorter.
SAVING_SECONDS = 100
# Those that trainings listen to; torchrun itself knows nothing of SIGUSR1 and would die of it.
PASSED_ON = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"


def main(arguments: Sequence[str]) -> int:
    """Launch the processes, wait for them and tell how they ended."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stdout.write(f"{(__doc__ or '').strip()}\n")
        return EXIT_DONE if arguments else EXIT_USER_ERROR
    # Torch takes seconds to import.
    from torch.distributed import run  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing.api import SignalException  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError  # noqa: PLC0415
    from torch.distributed.elastic.rendezvous.api import RendezvousError  # noqa: PLC0415

    own = [f"--shutdown-timeout={SAVING_SECONDS}", f"--signals-to-handle={PASSED_ON}"]
    try:
        run.run(run.parse_args([*own, *arguments]))
    except ChildFailedError as error:
        failures = error.failures
        code = joint_code(failure.exitcode for failure in failures.values())
        if code in {EXIT_REQUEUE, EXIT_FAILED}:
            for rank, failure in sorted(failures.items()):
                sys.stderr.write(f"rank {rank} ended {_how(failure.exitcode)}\n")
        return code
    except SignalException:
        # All of them were told, and had their time to save.
        return EXIT_REQUEUE
    except RendezvousError as error:
        raise ConfigError(
            f"the nodes did not find each other ({error}). Start the command on every node, with the same --nnodes and "
            "--rdzv_endpoint."
        ) from error
    return EXIT_DONE


def joint_code(codes: Iterable[int]) -> int:
    """Return one exit code for processes that failed in the same moment.

    A verdict on the training (2 to 6) holds for all of them. One that was killed, or that waited in vain for another,
    is no verdict: the training is to go on from its last checkpoint.
    """
    seen = set(codes)
    verdicts = {code for code in seen if code > EXIT_FAILED and code != EXIT_REQUEUE}
    if verdicts:
        return min(verdicts)
    # Torchrun ends the others by SIGTERM.
    killed = {code for code in seen if code < 0} - {-signal.SIGTERM}
    return EXIT_REQUEUE if EXIT_REQUEUE in seen or killed or EXIT_FAILED not in seen else EXIT_FAILED


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with code {code}"


if __name__ == "__main__":
    sys.exit(run_command(main))
