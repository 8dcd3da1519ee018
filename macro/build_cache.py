"""Pack the files of a configuration, so that its training can read them in any order, or record their hashes.

What is already packed is kept; an attempt that was ended goes on where it was.

Example: python macro/build_cache.py --config configs/mae/base.yaml --set data.cache_dir=data/cache
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE, run_command
from lib.config.document import Document, read_document
from lib.config.loading import validate
from lib.config.overrides import apply_overrides
from lib.config.section import Section
from lib.data.config import DataConfig, NormalizationConfig
from lib.data.files.paths import resolve_paths
from lib.data.normalization import Normalization
from lib.data.packed.cache import Part, build_cache, open_cached
from lib.data.packed.cache_scan import damaged_rows
from lib.data.packed.cache_settings import CacheSettings
from lib.data.trees.layout_index import record_hashes
from lib.data.trees.schema import BranchPlan, FileSchema, check_files
from lib.errors import ConfigError, DataError


class CacheConfig(Section):
    """What matters for the cache in the configuration of any training."""

    data: DataConfig
    normalization: NormalizationConfig = NormalizationConfig()


def load_config(config: Path, assignments: list[str]) -> CacheConfig:
    """Return the data sections of a configuration; raises ``ConfigError`` if they are faulty."""
    document = apply_overrides(read_document(config), assignments)
    relevant = {key: value for key, value in document.data.items() if key in CacheConfig.model_fields}
    return validate(CacheConfig, Document(document.source, relevant, document.lines))


def cache_settings(config: CacheConfig, plan: BranchPlan) -> CacheSettings:
    """Return the cache that a configuration describes; raises ``ConfigError`` if it names none."""
    data = config.data
    if data.cache_dir is None:
        raise ConfigError("data.cache_dir is not set. Add --set data.cache_dir=FOLDER.")
    normalization = Normalization.from_config(config.normalization)
    return CacheSettings(Path(data.cache_dir), plan, normalization, data.num_threads, data.compiled)


def require_undamaged(files: Sequence[FileSchema], settings: CacheSettings) -> None:
    """Read back every row of packed files.

    Raises:
        DataError: Naming each file with rows that differ from their sums.
    """
    counts = {str(file.path): damaged_rows(open_cached(file, settings)) for file in files}
    bad = [f"{path}: {count} rows differ from their sums" for path, count in counts.items() if count]
    if bad:
        raise DataError(
            "\n  ".join([f"{settings.folder}: damaged while it was packed:", *bad, "Remove and pack again."])
        )


def main(arguments: Sequence[str]) -> int:
    """Pack the files of both splits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="YAML file of a training")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="replace a setting")
    parser.add_argument("--part", type=int, default=0, metavar="I", help="pack this part of the files alone, from 0")
    parser.add_argument("--parts", type=int, default=1, metavar="N", help="how many parts there are (default: 1)")
    parser.add_argument("--verify", action="store_true", help="read back what is packed, and compare every row")
    parser.add_argument("--hashes", action="store_true", help="pack nothing, but let readers notice flipped bits")
    options = parser.parse_args(arguments)
    if not 0 <= options.part < options.parts:
        parser.error(f"--part: expected 0 to {options.parts - 1}, got {options.part}")
    loaded = load_config(options.config, options.set)
    plan = BranchPlan.from_config(loaded.data, ())
    paths = {*resolve_paths(loaded.data.train_path), *resolve_paths(loaded.data.val_path)}
    files = check_files(sorted(paths), plan)
    if options.hashes:
        num_baskets = sum(record_hashes(file.path, plan.tree_name) for file in files)
        print(f"{len(files)} files: hashes of {num_baskets} baskets recorded")
        return EXIT_DONE
    settings, part = cache_settings(loaded, plan), Part(options.part, options.parts)
    built = build_cache(files, settings, part)
    files = part.of(files)
    if options.verify:
        require_undamaged(files, settings)
    num_events = sum(file.num_entries for file in files)
    print(f"{settings.folder}: {len(files)} files with {num_events} events, {built} of them packed now")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
