"""The folder for what can be made again at any time."""

import os
import tempfile
from pathlib import Path


def user_cache_folder() -> Path:
    """Return the user's cache folder of this package; it exists afterwards.

    ``XDG_CACHE_HOME`` moves it. Where the home cannot be written, as on some batch nodes, it lies among the temporary
    files.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "xec-ml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"xec-ml-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder
