"""What tells the events of one training from those of another."""

import hashlib
import json

from lib.data.config import DataConfig
from lib.data.files.paths import resolve_paths
from lib.data.trees.layout_index import find_layouts
from lib.errors import DataError


def data_fingerprint(config: DataConfig) -> str:
    """Return 16 hex digits that differ when a training reads other files.

    Name, size and number of events of each file count; its folder does not, for data may move.

    Args:
        config: The data section of a configuration.
    """
    paths = resolve_paths(config.train_path)
    layouts = zip(paths, find_layouts(paths, config.tree_name), strict=True)
    # A file that cannot be read is left out by the quarantine, or the training would not have begun.
    files = sorted((path.name, it.size, it.num_entries) for path, it in layouts if not isinstance(it, DataError))
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]
