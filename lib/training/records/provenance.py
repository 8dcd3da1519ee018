"""What the result of a run depends on beside its configuration."""

import getpass
import os
import platform
import subprocess

import torch

CPU = "cpu"


def environment() -> dict[str, str]:
    """Return what the result of a run may depend on: versions, machine, device."""
    return {
        "python": platform.python_version(),
        # A TorchVersion is no plain text.
        "torch": str(torch.__version__),
        "machine": platform.machine(),
        "host": platform.node(),
        "device": torch.cuda.get_device_name(0) if torch.cuda.is_available() else CPU,
        # Each thread adds up its part of a sum over events, so their number is in the last bits of a gradient.
        "threads": str(torch.get_num_threads()),
    }


def code_revision() -> str:
    """Return the git revision of the code, with ``+`` if files were changed; ``unknown`` outside a repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            cwd=__file__.rpartition("/")[0],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip()


def user_name() -> str:
    """Return who started the process; the number of a user that the system has no name for, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
