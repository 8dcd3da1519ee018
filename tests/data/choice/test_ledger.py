"""read = used + cut + quarantined, for whatever is cut, damaged or drawn repeatedly."""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.data.stream import open_stream
from lib.data.trees.schema import BranchPlan, check_files
from tests.data.root_files import change_bytes
from tests.data.test_stream import NORMALIZATION

FILES = {"part_0.root": (0, 90), "part_1.root": (90, 140), "part_2.root": (140, 173)}


@pytest.fixture(scope="module")
def baskets(root_folder):
    """Place and events of each basket of photon counts and times."""
    found = []
    for name, (first, _) in FILES.items():
        layout = check_files([root_folder / name], BranchPlan("tree", "npho", "time"))[0].layout
        for branch in (layout.branches["npho"], layout.branches["time"]):
            ends = branch.edges[1:].tolist()
            for seek, begin, end in zip(branch.seeks.tolist(), branch.edges[:-1].tolist(), ends, strict=True):
                found.append((name, seek, {first + entry for entry in range(begin, end)}))
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.tuples(st.integers(0, 172), st.integers(2, 5)),
    damaged=st.sets(st.integers(0, 13), max_size=4),
    balance=st.booleans(),
    chunksize=st.sampled_from([64, 256]),
    epochs=st.integers(1, 2),
)
def test_the_ledger_is_what_was_handed_out(data_config, root_folder, baskets, cut, damaged, balance, chunksize, epochs):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        shutil.copytree(root_folder, folder)
        lost = set()
        for index in damaged:
            file, seek, events = baskets[index % len(baskets)]
            change_bytes(folder / file, seek, b"\xff" * 4)
            lost |= events
        bound, every = cut
        expression = f"event >= {bound} or event * {every} < 300"
        selected = {event for event in range(173) if event >= bound or event * every < 300}
        config = data_config(
            train_path=str(folder),
            val_path=str(folder),
            batch_size=1,
            chunksize=chunksize,
            num_threads=1,
            cut=expression,
            balance={"quantities": "event", "bins": 3} if balance else None,
            on_bad="quarantine",
            max_bad_share=1.0,
            quarantine_report=str(Path(name) / "bad.jsonl"),
        )
        stream = open_stream(config, NORMALIZATION, (), split="validation", seed=1)
        batches = list(stream.epoch(0))
        seen = Counter(torch.cat([batch.event for batch in batches]).tolist()) if batches else Counter()
        assert set(seen) <= selected - lost
        assert max(seen.values(), default=1) == 1
        rows = {row.path.rpartition("/")[2]: row for row in stream.ledger()}
        for file, (first, end) in FILES.items():
            events, row = set(range(first, end)), rows[file]
            assert row.read == len(events) == row.used + row.cut + row.quarantined
            assert row.cut == len(events - selected)
            assert row.used == sum(event in events for event in seen)
        if balance:
            _assert_training_keeps_the_ledger(config, rows, epochs)


def _assert_training_keeps_the_ledger(config, rows, epochs):
    """Balanced epochs repeat events and leave out others, but no event is lost that the files can give."""
    training = open_stream(
        config.model_copy(update={"batch_size": 100}), NORMALIZATION, (), split="train", seed=1
    ) if sum(row.used for row in rows.values()) > 120 else None  # fmt: skip
    if training is None:
        return
    for epoch in range(epochs):
        list(training.epoch(epoch))
    for row in training.ledger():
        assert row.read == row.used + row.cut + row.quarantined
        assert row.cut == rows[row.path.rpartition("/")[2]].cut
        assert row.quarantined <= rows[row.path.rpartition("/")[2]].quarantined
