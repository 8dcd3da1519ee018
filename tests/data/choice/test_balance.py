from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.data.branches import ENERGY
from lib.data.choice.balance import BalancedDraw, EveryEvent, bin_shares
from lib.data.choice.order import EventOrder, cut_blocks
from lib.data.choice.selection import FileSelection
from lib.data.config import BalanceConfig
from lib.data.stream import open_stream
from lib.data.trees.layout import BranchLayout, TreeLayout
from lib.data.trees.schema import FileSchema
from lib.errors import DataError
from tests.data.root_files import make_events, write_root
from tests.data.test_stream import NORMALIZATION, TRUTH, assert_same, event_numbers

STREAMS = [{}, {"num_workers": 1}, {"cache": "auto"}]
ENERGIES = np.array([0.02, 0.03, 0.05], np.float32)


def selection(count, entries=None, basket=50) -> FileSelection:
    edges = np.append(np.arange(0, count, basket), count)
    branch = BranchLayout("float[4760]", ">f4", (4760,), edges)
    return FileSelection(FileSchema(Path("a.root"), TreeLayout(0, 0, count, {"npho": branch}), "npho"), entries)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=30), st.integers(1, 12))
def test_shares_keep_the_number_of_events_and_level_all_bins_that_can_be(sizes, max_repeats):
    sizes = np.array(sizes)
    shares = bin_shares(sizes, max_repeats)
    assert shares.sum() == sizes.sum()
    assert (shares <= sizes * max_repeats).all()
    free = shares[shares < sizes * max_repeats]
    assert np.ptp(free) <= 1 if len(free) else True
    # A bin that is full would only take more if it could.
    full = shares[shares == sizes * max_repeats]
    assert not len(free) or not len(full) or full.max() <= free.max()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=300), st.integers(1, 8), st.integers(0, 5))
def test_events_of_a_bin_appear_equally_often(cells, max_repeats, epoch):
    cells = np.array(cells)
    draw = BalancedDraw([selection(len(cells))], cells, max_repeats=max_repeats, seed=7)
    repeats = draw.repeats(epoch)
    assert repeats.sum() == len(cells)
    for cell, share in zip(np.unique(cells), draw.shares, strict=True):
        inside = repeats[cells == cell]
        assert inside.sum() == share
        assert np.ptp(inside) <= 1
        assert inside.max() <= max_repeats


def test_a_draw_is_a_function_of_seed_and_epoch():
    cells = np.random.default_rng(0).integers(0, 3, 400) ** 3
    first, second = (BalancedDraw([selection(400)], cells, max_repeats=10, seed=1) for _ in range(2))
    list(map(second.of_epoch, range(4)))
    assert np.array_equal(first.of_epoch(2)[0].entries, second.of_epoch(2)[0].entries)
    assert not np.array_equal(first.repeats(2), first.repeats(3))
    other = BalancedDraw([selection(400)], cells, max_repeats=10, seed=2)
    assert not np.array_equal(first.repeats(2), other.repeats(2))


def test_over_epochs_all_events_of_a_bin_are_used_alike():
    cells = np.array([0] * 300 + [1] * 30)
    draw = BalancedDraw([selection(330)], cells, max_repeats=10, seed=1)
    total = sum(draw.repeats(epoch) for epoch in range(200))
    # 165 of 300 are drawn each time: 110 +- 7 draws of each in 200 epochs.
    assert np.abs(total[:300] - 110).max() < 5 * 7.1
    assert total[300:].min() >= 200 * 5


def test_every_event_is_drawn_once_without_balance():
    selections = [selection(10)]
    assert EveryEvent(selections).of_epoch(3) is selections


def test_blocks_of_repeated_events_are_divided():
    """Otherwise files that are sorted by energy would make pools of many times their size."""
    cells = np.repeat([0, 1], [1900, 100])
    draw = BalancedDraw([selection(2000)], cells, max_repeats=10, seed=1)
    drawn = draw.of_epoch(0)
    blocks = cut_blocks(drawn, 256)
    assert sum(block.num_events for block in blocks) == 2000
    assert max(block.num_events for block in blocks) <= 64 + 10
    assert [block.start for block in blocks][1:] == [block.stop for block in blocks][:-1]
    order = EventOrder(cut_blocks([selection(2000)], 256), pool_events=256, seed=1, shuffle=True).with_blocks(blocks)
    assert max(pool.num_events for pool in order.pools(0)) <= 256


@pytest.fixture
def uneven(tmp_path):
    """Two files sorted by energy: 150 events of 20 MeV, 20 of 30 MeV, 30 of 50 MeV; entry numbers are event numbers."""
    folder = tmp_path / "uneven"
    folder.mkdir()
    energy = np.repeat(ENERGIES, [150, 20, 30])
    for name, (begin, end) in {"a": (0, 120), "b": (120, 200)}.items():
        events = make_events(end - begin, first_event=begin)
        write_root(folder / f"{name}.root", {**events, ENERGY: energy[begin:end]})
    return folder


@pytest.fixture
def open_balanced(data_config, uneven, tmp_path):
    def make(split="train", seed=3, **settings):
        values = {"balance": {"quantities": "energy", "bins": 30}, "cache_dir": str(tmp_path / "cache")}
        paths = {"train_path": str(uneven), "val_path": str(uneven), "batch_size": 20}
        config = data_config(**{**values, **paths, **settings})
        return open_stream(config, NORMALIZATION, TRUTH, split=split, seed=seed)

    return make


def energies_of(batches):
    return Counter(torch.cat([batch.truth[ENERGY][:, 0] for batch in batches]).numpy().tolist())


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("settings", STREAMS, ids=str)
def test_every_bin_appears_equally_often_in_an_epoch(open_balanced, settings):
    stream = open_balanced(**settings)
    for epoch in (0, 1):
        batches = list(stream.epoch(epoch))
        assert len(batches) == stream.batches_per_epoch == 10
        assert sorted(energies_of(batches).values()) == [66, 67, 67]
        assert torch.cat([batch.weight for batch in batches]).eq(1).all()
        # A repeated event is the same in every respect.
        numbers = torch.cat([batch.event for batch in batches])
        photons = torch.cat([batch.x[:, 0, 0] for batch in batches])
        expected = torch.log1p((1000 + numbers) / 1000.0) / 4.08
        assert torch.allclose(photons, expected.float(), atol=5e-5)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("settings", STREAMS, ids=str)
def test_a_balanced_epoch_resumes_at_any_batch(open_balanced, settings):
    whole = list(open_balanced(**settings).epoch(1))
    for first_batch in (1, 4, 9):
        assert_same(list(open_balanced(**settings).epoch(1, first_batch)), whole[first_batch:])


def test_validation_and_cuts_are_not_balanced_away(open_balanced):
    assert event_numbers(list(open_balanced("validation").epoch(0))) == list(range(200))
    stream = open_balanced(cut="energyTruth < 0.04", batch_size=17)
    assert sorted(energies_of(list(stream.epoch(0))).values()) == [85, 85]
    assert [(row.read, row.used, row.cut) for row in stream.ledger()] == [(120, 120, 0), (80, 50, 30)]


def test_a_quantity_without_value_is_refused(data_config, tmp_path):
    events = make_events(30)
    events[ENERGY][4] = np.nan
    path = str(write_root(tmp_path / "nan.root", events))
    config = data_config(train_path=path, balance={"quantities": "energy"})
    with pytest.raises(DataError, match=r"nan.root: data.balance of energyTruth: 1 events have no finite value"):
        open_stream(config, NORMALIZATION, TRUTH, split="train", seed=0)


@pytest.mark.parametrize(
    ("quantities", "expected"),
    [
        ("energy", ["energyTruth"]),
        (["timing"], ["timeTruth"]),
        ("angle", ["emiAng[0]", "emiAng[1]"]),
        (["u", "v"], ["uvwTruth[0]", "uvwTruth[1]"]),
        ("uvwFI", ["uvwTruth[0]", "uvwTruth[1]", "uvwTruth[2]"]),
        ("abs(uvwTruth[1])", ["abs(uvwTruth[1])"]),
    ],
)
def test_quantities_may_be_named_as_the_tasks_are(quantities, expected):
    assert BalanceConfig(quantities=quantities).expressions() == expected


def test_too_many_bins_are_refused():
    with pytest.raises(ValueError, match=r"uvwFI are 3 quantities with 500 bins each; at most 3 .* 1000000"):
        BalanceConfig(quantities="uvwFI", bins=500)
    with pytest.raises(ValueError, match=r"angle and u and v are 4 quantities"):
        BalanceConfig(quantities=["angle", "u", "v"], bins=2)


def test_flattening_twice_is_refused(data_config):
    energy = {"quantities": "energy"}
    with pytest.raises(ValueError, match="reweighting and balance both flatten a spectrum"):
        data_config(balance=energy, reweighting=energy)
