"""The host's memory is watched under every limit, and who takes it is named before the system acts."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.training.supervision.memory_guard import LOADER, OTHERS, TRAINING, MemoryGuard, memory_by_component
from lib.training.supervision.memory_limit import MemoryUse, tightest_limit
from lib.training.supervision.supervision_config import MemoryConfig

GIGABYTE = 10**9


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


MACHINE = {"proc/meminfo": "MemTotal:       1000 kB\nMemFree: 10 kB\nMemAvailable:    400 kB\n"}
VERSION_2 = {
    "proc/self/cgroup": "0::/job/step\n",
    "sys/fs/cgroup/job/memory.max": "1000\n",
    "sys/fs/cgroup/job/memory.current": "950\n",
    "sys/fs/cgroup/job/memory.stat": "anon 600\ninactive_file 150\n",
    "sys/fs/cgroup/job/step/memory.max": "max\n",
    "sys/fs/cgroup/job/step/memory.current": "700\n",
}
VERSION_1 = {
    "proc/self/cgroup": "4:memory:/slurm/job_1\n1:cpu:/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "1000\n",
    "sys/fs/cgroup/memory/slurm/job_1/memory.limit_in_bytes": "1000\n",
    "sys/fs/cgroup/memory/slurm/job_1/memory.usage_in_bytes": "990\n",
    "sys/fs/cgroup/memory/slurm/job_1/memory.stat": "total_inactive_file 90\n",
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (MACHINE, MemoryUse(600 * 1024, 1000 * 1024, "the machine")),
        (MACHINE | VERSION_2, MemoryUse(800, 1000, "the job's control group")),
        (MACHINE | VERSION_1, MemoryUse(900, 1000, "the job's control group")),
        ({}, None),
    ],
    ids=["machine", "version 2", "version 1", "nothing known"],
)
def test_the_nearest_limit_counts(tmp_path: Path, files: dict[str, str], expected: MemoryUse | None) -> None:
    write(tmp_path, files)
    assert tightest_limit(tmp_path) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_this_machine_has_a_limit() -> None:
    use = tightest_limit()
    assert use is not None
    assert 0 < use.used <= use.limit


class Limit:
    """A limit of ten gigabytes."""

    def __init__(self) -> None:
        self.used = 1.0

    def __call__(self) -> MemoryUse:
        return MemoryUse(int(self.used * GIGABYTE), 10 * GIGABYTE, "the job's control group")


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    sizes = {TRAINING: GIGABYTE, LOADER: GIGABYTE, OTHERS: 0}
    monkeypatch.setattr("lib.training.supervision.memory_guard.memory_by_component", lambda: dict(sizes))
    yield sizes


def test_who_has_grown_most_is_named_before_the_training_is_stopped(
    sizes: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    limit, stops = Limit(), []
    guard = MemoryGuard(MemoryConfig(), lambda: stops.append(1), limit)
    guard.look()
    assert not guard.is_tight
    sizes[LOADER] += 5 * GIGABYTE
    limit.used = 8.6
    guard.look()
    guard.look()
    assert guard.is_tight
    [record] = caplog.records
    told = record.getMessage()
    assert told.startswith("8.6 of 10.0 GB that the job's control group has are in use")
    assert "the loader processes 6.00 GB (+5.00)" in told
    assert "Most of the growth is that of the loader processes. Lower data.num_workers" in told
    assert stops == []
    limit.used = 9.6
    for _ in range(3):
        guard.look()
    assert stops == [1]
    limit.used = 5.0
    guard.look()
    assert not guard.is_tight


def test_a_large_machine_is_not_short_of_memory_at_the_same_share(sizes: dict[str, int]) -> None:
    stops: list[int] = []
    use = MemoryUse(970 * GIGABYTE, 1000 * GIGABYTE, "the machine")
    guard = MemoryGuard(MemoryConfig(), lambda: stops.append(1), lambda: use)
    guard.look()
    assert not guard.is_tight
    assert stops == []


def test_a_full_limit_never_stops_the_training_if_that_is_not_wanted(sizes: dict[str, int]) -> None:
    stops: list[int] = []
    guard = MemoryGuard(MemoryConfig(stop_share=1.0), lambda: stops.append(1), lambda: MemoryUse(10, 10, "the machine"))
    guard.look()
    assert guard.is_tight
    assert stops == []


def test_where_nothing_is_known_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    MemoryGuard(MemoryConfig(), lambda: None, lambda: None).look()
    assert caplog.records == []


def test_memory_is_counted_by_who_holds_it() -> None:
    code = "import sys; held = bytearray(b'x' * 60_000_000); print('ready', flush=True); sys.stdin.read()"
    before = memory_by_component()
    for name, mark in ((OTHERS, ""), (LOADER, "forkserver")):
        with subprocess.Popen(
            [sys.executable, "-c", code, mark], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            now = memory_by_component()
            process.communicate()
        assert now[name] - before[name] > 50e6
    assert before[TRAINING] > 0


def test_a_warning_comes_before_the_stop() -> None:
    with pytest.raises(ValueError, match="warn_share must not exceed stop_share"):
        MemoryConfig(warn_share=0.9, stop_share=0.8)
