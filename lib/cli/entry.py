"""How every command starts and ends."""

import logging
import os
import sys
from collections.abc import Callable, Sequence

from lib.cli.memory_arenas import limit_arenas
from lib.errors import UserError

EXIT_DONE = 0
EXIT_USER_ERROR = 2
EXIT_SKIP_CAP = 3
EXIT_ROLLBACK_CAP = 4
EXIT_UNHEALTHY = 5
EXIT_DISAGREEMENT = 6
EXIT_REQUEUE = 75

SPIN_COUNT = "3000"


def run_command(main: Callable[[Sequence[str]], int], arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    A mistake of the user's ends with its message alone and code 2; anything else that is raised is a fault of the
    program and shows its traceback.

    Args:
        main: The command; takes the arguments after its name and returns an exit code.
        arguments: What to pass; by default those of the process.
    """
    # Threads of GNU's OpenMP spin for milliseconds while they wait for each other, and become several times slower as
    # soon as something else runs on their cores. A hundredth of that costs nothing on a free machine. It must be said
    # before torch is imported, and whoever sets a policy is obeyed.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    limit_arenas()
    # Of several processes that do the same, one tells of it.
    level = logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    # It tells every step of embedding a font in a figure.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    try:
        return main(sys.argv[1:] if arguments is None else arguments)
    except UserError as error:
        sys.stderr.write(f"error: {_spelt_out(str(error))}\n")
        return EXIT_USER_ERROR


def _spelt_out(text: str) -> str:
    """Return a text with its control characters as escapes: a terminal would obey those of a name that it is shown."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape").decode()
        for letter in text
    )
