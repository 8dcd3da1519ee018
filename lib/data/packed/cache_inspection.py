"""In what state the packed copies of some files are."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from lib.data.checks.finding import Finding
from lib.data.config import DataConfig
from lib.data.normalization import Normalization
from lib.data.packed.cache import open_cached
from lib.data.packed.cache_settings import CacheSettings
from lib.data.packed.packed_file import Manifest, manifest_of
from lib.data.trees.schema import BranchPlan, FileSchema
from lib.errors import DataError

CacheState: TypeAlias = Literal["fresh", "missing", "partial", "stale", "damaged"]


def cache_findings(
    setting: str, files: Sequence[FileSchema], config: DataConfig, normalization: Normalization
) -> Iterator[Finding]:
    """Yield how many files can be taken from the cache, and why others cannot."""
    if config.cache == "off" or config.cache_dir is None or not files:
        return
    settings = CacheSettings(Path(config.cache_dir), BranchPlan.from_config(config, ()), normalization)
    faults = [(file, *cache_state(file, settings)) for file in files]
    counts: dict[str, float | str] = dict(Counter(state for _, state, _ in faults))
    unfit = [(state, reason) for _, state, reason in faults if state != "fresh"]
    if not unfit:
        yield Finding("note", setting, f"all {len(files)} files are in the cache {config.cache_dir}.", counts)
        return
    shown = ", ".join(f"{count} {state}" for state, count in counts.items() if state != "fresh")
    if config.cache == "auto":
        message = f"{len(unfit)} of {len(files)} files are packed at the start of the training ({shown})."
        yield Finding("note", setting, message, counts)
        return
    message = f"{len(unfit)} of {len(files)} files cannot be taken from the cache ({shown}): {unfit[0][1]}"
    yield Finding("error", setting, f"{message} Run python macro/build_cache.py.", counts)


def cache_state(file: FileSchema, settings: CacheSettings) -> tuple[CacheState, str]:
    """Return the state of a file's packed copy, and why it cannot be used; empty when it can."""
    try:
        open_cached(file, settings)
    except DataError as error:
        return _unfit_state(file, settings.place(file)), str(error)
    return "fresh", ""


def _unfit_state(file: FileSchema, place: Path) -> CacheState:
    if not manifest_of(place).exists():
        unfinished = place.exists() or any(place.parent.glob(f".{place.stem}.*.partial*"))
        return "partial" if unfinished else "missing"
    try:
        manifest = Manifest.read(manifest_of(place))
    except DataError:
        return "damaged"
    made_of = (manifest.source_size, manifest.source_mtime_ns)
    return "stale" if made_of != (file.layout.size, file.layout.mtime_ns) else "damaged"
