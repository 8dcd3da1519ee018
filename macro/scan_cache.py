"""Tell what a packed cache holds and what of it can no longer be used.

Example: python macro/scan_cache.py data/cache --verify
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lib.cli.entry import EXIT_DONE, EXIT_USER_ERROR, run_command
from lib.data.packed.cache_scan import scan_cache


def main(arguments: Sequence[str]) -> int:
    """Print one line for each packed file and the sums; 2 when some cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the cache")
    parser.add_argument("--verify", action="store_true", help="read everything, and hash the input files")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    options = parser.parse_args(arguments)
    entries = scan_cache(options.folder, verify=options.verify)
    for entry in entries:
        if options.json:
            print(json.dumps({**asdict(entry), "ledger": asdict(entry.ledger)}))
        else:
            print(f"{entry.state:<8} {entry.num_events:>9} events  {entry.megabytes:>9.1f} MB  {entry.source}")
            if entry.fault:
                print(f"         {entry.fault}")
    if not options.json:
        usable = [entry for entry in entries if not entry.fault]
        events, megabytes = (sum(getattr(entry, name) for entry in usable) for name in ("num_events", "megabytes"))
        counts = f"{len(usable)} of {len(entries)} packed files usable"
        print(f"{options.folder}: {counts}, {events} events, {megabytes:.1f} MB")
        rows = [entry.ledger for entry in entries]
        sums = {name: sum(getattr(row, name) for row in rows) for name in ("read", "used", "cut", "quarantined")}
        read, used, cut, quarantined = sums.values()
        print(f"read {read} = used {used} + cut {cut} + quarantined {quarantined}; cuts are applied by trainings")
    return EXIT_USER_ERROR if any(entry.fault for entry in entries) else EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
