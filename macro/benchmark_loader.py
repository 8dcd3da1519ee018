"""Measure the loader against the ROOT library, the decompressors and memory itself, pair by pair in one run.

Example: python macro/benchmark_loader.py --json
"""

import gc
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import uproot

from lib.cli.benchmark_command import benchmark_parser, print_rows
from lib.cli.entry import EXIT_DONE, run_command
from lib.data.branches import NO_VALUE, NPHO, TIME, TREE_NAME
from lib.data.config import DataConfig, NormalizationConfig
from lib.data.files.paths import resolve_paths
from lib.data.normalization import Normalization
from lib.data.packed.cache import build_cache
from lib.data.packed.cache_settings import CacheSettings
from lib.data.stream import EventStream, open_stream
from lib.data.trees.basket_reader import BasketReader
from lib.data.trees.schema import BranchPlan, check_files
from lib.evaluation.benchmark_row import BenchmarkRow, machine_context
from lib.geometry.sensors import NUM_SENSORS, nominal_sensors

CODECS = {"none": None, "lz4": uproot.LZ4(1), "zstd": uproot.ZSTD(5), "zlib": uproot.ZLIB(1)}
FILES, BATCH = 5, 1024
EVENT_BYTES = NUM_SENSORS * 2 * 4


def simple_events(count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return light of point sources in the detector with photon statistics, and times where there is light enough.

    How well events compress depends on their noise, and this has as much of it as the full simulation.
    """
    sensors = nominal_sensors().positions
    source = sensors[rng.integers(0, 4092, count)] * rng.uniform(1.02, 1.3, (count, 1))
    distance = np.linalg.norm(sensors - source[:, None], axis=-1)
    light = 4e5 / (30.0 + distance**2)
    npho = (rng.poisson(light * 0.1) * 10.0 * rng.normal(1.0, 0.02, NUM_SENSORS)) + rng.normal(0.0, 15.0, light.shape)
    time = np.where(npho > 50.0, distance * 6e-11 + rng.normal(0.0, 1e-9, light.shape), NO_VALUE)
    return {NPHO: npho.astype(np.float32), TIME: time.astype(np.float32)}


def write_files(folder: Path, codec: str, events: dict[str, np.ndarray], *, num_files: int, baskets: int) -> None:
    """Write files of ``baskets`` baskets, each with all the given events."""
    folder.mkdir(parents=True)
    for index in range(num_files):
        with uproot.recreate(folder / f"events_{index}.root", compression=CODECS[codec]) as file:
            file.mktree(TREE_NAME, {name: (values.dtype, values.shape[1:]) for name, values in events.items()})
            for _ in range(baskets):
                file[TREE_NAME].extend(events)


def consume_root_library(folder: Path) -> int:
    """Read both branches by ``uproot.iterate`` with its own choice of steps; return the number of events."""
    paths = [f"{path}:{TREE_NAME}" for path in sorted(folder.glob("*.root"))]
    return sum(len(arrays[NPHO]) for arrays in uproot.iterate(paths, [NPHO, TIME], library="np"))


def stream_of(folder: Path, **settings: object) -> EventStream:
    """Return a shuffled training stream."""
    values = {"train_path": str(folder), "val_path": str(folder), "batch_size": BATCH, "num_threads": 2}
    config = DataConfig.model_validate(values | settings)
    return open_stream(config, Normalization.from_config(NormalizationConfig()), (), split="train", seed=1)


def consume_stream(stream: EventStream, epochs: Iterator[int]) -> int:
    """Take every batch of the next epoch; return the number of events in them."""
    return sum(batch.num_events for batch in stream.epoch(next(epochs)))


def consume_decompression(folder: Path) -> int:
    """Decompress every basket in two threads and do nothing with it; return the number of events."""
    files = check_files(resolve_paths(str(folder)), BranchPlan(TREE_NAME, NPHO, TIME))
    reader = BasketReader(files)
    baskets = [
        (index, name, int(edge))
        for index, file in enumerate(files)
        for name in (NPHO, TIME)
        for edge in file.layout.branches[name].edges[:-1]
    ]
    with ThreadPoolExecutor(2) as executor:
        list(executor.map(lambda basket: len(reader.rows(*basket, basket[2] + 1)), baskets))
    return sum(file.num_entries for file in files)


def copy_memory(megabytes: int = 200) -> float:
    """Return how many float32 events per second one thread copies."""
    source = np.ones(megabytes * 10**6 // EVENT_BYTES * EVENT_BYTES // 4, np.float32)
    target = np.zeros_like(source)
    return rate(lambda: np.copyto(target, source) or source.nbytes // EVENT_BYTES)


def rate(work: Callable[[], int]) -> float:
    """Return the events per second of one call."""
    gc.collect()
    start = time.perf_counter()
    count = work()
    return count / (time.perf_counter() - start)


class Pairs:
    """Rates of a form and of what it is compared with, measured in turns so that a busy machine slows both."""

    def __init__(self, name: str, form: Callable[[], float], reference: Callable[[], float] | None = None) -> None:
        self.name = name
        self._form = form
        self._reference = reference
        self._rates: list[float] = []
        self._ratios: list[float] = []

    def measure(self) -> None:
        """Add one pair."""
        reference = self._reference() if self._reference else None
        self._rates.append(self._form())
        if reference:
            self._ratios.append(self._rates[-1] / reference)

    def row(self, num_events: int) -> BenchmarkRow:
        """Return the median, with a reference that makes the ratio the median ratio of the pairs."""
        value = statistics.median(self._rates)
        spread = statistics.pstdev(self._rates) / len(self._rates) ** 0.5
        reference = value / statistics.median(self._ratios) if self._ratios else None
        context = machine_context() | {"repeats": len(self._rates), "loader_threads": 2}
        return BenchmarkRow(self.name, value, "events/s", spread, reference, num_events, context)


def cache_pairs(folder: Path) -> list[Pairs]:
    """Return the speed of the packed cache against memory, and that of building it against streaming."""
    place = folder / "cache"
    files = check_files(resolve_paths(str(folder / "zstd")), BranchPlan(TREE_NAME, NPHO, TIME))
    normalization = Normalization.from_config(NormalizationConfig())
    settings = CacheSettings(place, BranchPlan(TREE_NAME, NPHO, TIME), normalization)

    def build() -> int:
        build_cache(files, settings)
        return sum(file.num_entries for file in files)

    def build_rate() -> float:
        shutil.rmtree(place)
        return rate(build)

    build()
    packed = stream_of(folder / "zstd", cache="require", cache_dir=str(place))
    streamed = stream_of(folder / "zstd")
    epochs = iter(range(10**6))
    for stream in (packed, streamed):
        consume_stream(stream, epochs)
    return [
        Pairs("cache.shuffle", lambda: rate(lambda: consume_stream(packed, epochs)), copy_memory),
        Pairs("cache.build", build_rate, lambda: rate(lambda: consume_stream(streamed, epochs))),
    ]


def reading_pairs(folder: Path, codecs: Sequence[str]) -> list[Pairs]:
    """Return what is measured for every codec."""
    pairs = []
    for codec in codecs:
        files = folder / codec
        library = lambda files=files: rate(lambda: consume_root_library(files))  # noqa: E731
        for name, compiled in (("loader", True), ("loader_fallback", False)):
            stream, epochs = stream_of(files, compiled=compiled), iter(range(10**6))
            consume_stream(stream, epochs)
            loader = lambda stream=stream, epochs=epochs: rate(lambda: consume_stream(stream, epochs))  # noqa: E731
            pairs.append(Pairs(f"{name}.{codec}", loader, library))
        if codec != "none":
            alone = lambda files=files: rate(lambda: consume_decompression(files))  # noqa: E731
            pairs.append(Pairs(f"limit.decompress.{codec}", alone))
    return pairs


def first_batch_seconds(folder: Path, events: dict[str, np.ndarray], num_files: int) -> tuple[float, float]:
    """Return the seconds to the first batch of files of 1000 events, when they are new and when they are known."""
    still = {name: np.zeros((500, NUM_SENSORS), values.dtype) for name, values in events.items()}
    write_files(folder, "zstd", still, num_files=1, baskets=2)
    for index in range(1, num_files):
        os.link(folder / "events_0.root", folder / f"events_{index}.root")
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        next(iter(stream_of(folder, batch_size=256).epoch(0)))
        seconds.append(time.perf_counter() - start)
    return seconds[0], seconds[1]


def start_rows(folder: Path, events: dict[str, np.ndarray], num_files: int = 1000) -> list[BenchmarkRow]:
    """Return how long a training of many files waits at its start."""
    cold, warm = first_batch_seconds(folder, events, num_files)
    return [
        BenchmarkRow("loader.first_batch_s", warm, "s", reference=2.0, n=1000 * num_files),
        BenchmarkRow("loader.first_batch_new_files_s", cold, "s", reference=2.0, n=1000 * num_files),
    ]


def own_memory_mb() -> float:
    """Return the memory of this process without the pages of mapped files, which the system takes back at will."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    return sum(int(status[name].split()[0]) for name in ("RssAnon", "RssShmem")) / 1024


def memory_rows(folder: Path, num_epochs: int = 50) -> list[BenchmarkRow]:
    """Return the largest growth of memory with a chunk without bounds, and its slope over epochs."""
    before = own_memory_mb()
    stream = stream_of(folder, chunksize=10**6)
    peak = max(own_memory_mb() - before for batch in stream.epoch(0) if batch.num_events)
    stream = stream_of(folder, chunksize=1024, batch_size=256)
    used = []
    for epoch in range(num_epochs):
        for _ in zip(range(8), stream.epoch(epoch), strict=False):
            pass
        used.append(own_memory_mb() * 1024)
    slope = float(np.polyfit(np.arange(num_epochs - 10), used[10:], 1)[0])
    return [
        BenchmarkRow("loader.peak_memory_mb", peak, "MB", reference=1000.0),
        BenchmarkRow("loader.memory_slope", slope, "kB/epoch", reference=10.0, n=num_epochs),
    ]


def main(arguments: Sequence[str]) -> int:
    """Write the files, measure and print the rows."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--events", type=int, default=20_000, help="events of each set of files (default: 20000)")
    parser.add_argument("--basket", type=int, default=500, help="events per basket (default: 500)")
    parser.add_argument("--repeat", type=int, default=5, help="measurements, of which the median counts (default: 5)")
    parser.add_argument("--codecs", nargs="+", choices=CODECS, default=list(CODECS), help="default: all")
    parser.add_argument("--scratch", type=Path, help="folder for the files (default: the system's)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folder = Path(scratch)
        # The index of these files would stay behind in the user's cache.
        os.environ["XDG_CACHE_HOME"] = str(folder / "user_cache")
        events = simple_events(options.basket, np.random.default_rng(1))
        for codec in options.codecs:
            baskets = max(1, options.events // options.basket // FILES)
            write_files(folder / codec, codec, events, num_files=FILES, baskets=baskets)
        pairs = [*reading_pairs(folder, options.codecs), Pairs("limit.memcpy", copy_memory)]
        if "zstd" in options.codecs:
            pairs += cache_pairs(folder)
        for _ in range(options.repeat):
            for pair in pairs:
                pair.measure()
        print_rows((pair.row(options.events) for pair in pairs), as_json=options.json)
        print_rows(
            [*start_rows(folder / "many", events), *memory_rows(folder / options.codecs[0])], as_json=options.json
        )
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
