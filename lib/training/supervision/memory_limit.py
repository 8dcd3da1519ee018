"""How much memory this process may use, and how much of it is taken, as Linux tells it.

The tightest of the machine itself and of every control group (version 1 or 2) that the process is in counts.
Source: Linux kernel documentation, cgroup-v1/memory and cgroup-v2; MemAvailable in filesystems/proc.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MemoryUse:
    """Memory under one limit.

    Attributes:
        used: Bytes that cannot be had back without ending something.
        limit: Bytes that may be used.
        name: What sets the limit.
    """

    used: int
    limit: int
    name: str

    @property
    def share(self) -> float:
        """Used share of the limit."""
        return self.used / self.limit


def tightest_limit(root: Path = Path("/")) -> MemoryUse | None:
    """Return the limit that is nearest, or None where the system does not tell any.

    Args:
        root: Where ``proc`` and ``sys`` are found.
    """
    found = [use for use in (_machine(root), *_groups(root)) if use is not None and use.limit > 0]
    return max(found, key=lambda use: use.share, default=None)


def _machine(root: Path) -> MemoryUse | None:
    values = _table(root / "proc/meminfo")
    if "MemTotal" not in values or "MemAvailable" not in values:
        return None
    total = 1024 * values["MemTotal"]
    return MemoryUse(total - 1024 * values["MemAvailable"], total, "the machine")


def _groups(root: Path) -> list[MemoryUse | None]:
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found: list[MemoryUse | None] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            base, files = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        place = base / path.strip("/")
        # A limit further up holds for all below; inside a container the path may not be visible, its top is.
        while place.is_relative_to(base):
            found.append(_group(place, *files))
            place = place.parent
    return found


def _group(place: Path, limit_file: str, use_file: str, cache: str) -> MemoryUse | None:
    limit, used = _number(place / limit_file), _number(place / use_file)
    if limit is None or used is None:
        return None
    # Pages of files that nobody looks at are given back when memory is short.
    reclaimable = _table(place / "memory.stat").get(cache, 0)
    return MemoryUse(max(used - reclaimable, 0), limit, "the job's control group")


def _number(path: Path) -> int | None:
    """Return the number in a file; "max" and missing files are None."""
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _table(path: Path) -> dict[str, int]:
    """Return lines of names and numbers, with units and colons left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.replace(":", " ").split()[:2] for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
