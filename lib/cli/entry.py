"""How every command starts and ends."""

import logging
import os
import sys
from collections.abc import Callable, Sequence

from lib.errors import UserError

EXIT_DONE = 0
EXIT_USER_ERROR = 2
EXIT_SKIP_CAP = 3
EXIT_REQUEUE = 75


def run_command(main: Callable[[Sequence[str]], int], arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    A mistake of the user's ends with its message alone and code 2; anything else that is raised is a fault of the
    program and shows its traceback.

    Args:
        main: The command; takes the arguments after its name and returns an exit code.
        arguments: What to pass; by default those of the process.
    """
    # Threads that spin while they wait for each other become several times slower as soon as something else runs on
    # their cores. Must be said before torch is imported; whoever sets it otherwise is obeyed.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    # It tells every step of embedding a font in a figure.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    try:
        return main(sys.argv[1:] if arguments is None else arguments)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_USER_ERROR
