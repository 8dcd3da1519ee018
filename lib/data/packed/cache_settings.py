"""Where the packed form of a file lies, and what decides its content."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lib.data.normalization import Normalization
from lib.data.trees.schema import BranchPlan, FileSchema


@dataclass(frozen=True)
class CacheSettings:
    """Where packed files lie, and what they hold.

    Attributes:
        folder: Folder of the cache; several data sets and normalizations may share it.
        plan: Branches that are packed; truth that the files have is always kept.
        normalization: Applied before packing.
        num_threads: Threads that build.
        compiled: Whether compiled code may be used.
    """

    folder: Path
    plan: BranchPlan
    normalization: Normalization
    num_threads: int = 2
    compiled: bool = True

    def place(self, file: FileSchema) -> Path:
        """Return where the packed form of a file lies."""
        plan = self.plan
        parts = [str(file.path.resolve()), plan.tree_name, plan.npho_branch, plan.time_branch]
        parts += [f"{name}={name_in_file}" for name, name_in_file in plan.renamed]
        key = hashlib.sha256("\n".join([*parts, self.normalization.fingerprint()]).encode()).hexdigest()[:16]
        return self.folder / f"{file.path.stem}-{key}.packed"
