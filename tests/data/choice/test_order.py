from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.data.choice.order import Block, EventOrder, batch_seed, cut_blocks, permutation
from lib.data.choice.selection import FileSelection
from lib.data.trees.layout import BranchLayout, TreeLayout
from lib.data.trees.schema import FileSchema


def selection(edges, entries=None) -> FileSelection:
    branch = BranchLayout("float[4760]", ">f4", (4760,), np.array(edges))
    return FileSelection(FileSchema(Path("a.root"), TreeLayout(0, 0, edges[-1], {"npho": branch}), "npho"), entries)


def order_of(blocks, *, shuffle=True, seed=1) -> EventOrder:
    return EventOrder(blocks, pool_events=256, seed=seed, shuffle=shuffle)


BLOCKS = [Block(file, start, start + 64, 64) for file in range(4) for start in range(0, 640, 64)]


@given(
    baskets=st.lists(st.integers(1, 3000), min_size=1, max_size=30),
    pool_events=st.integers(1, 5000),
)
def test_blocks_cover_each_entry_once_and_are_no_larger_than_a_quarter_pool(baskets, pool_events):
    edges = np.cumsum([0, *baskets]).tolist()
    blocks = cut_blocks([selection(edges)], pool_events)
    assert [block.start for block in blocks] == [0, *(block.stop for block in blocks[:-1])]
    assert blocks[-1].stop == edges[-1]
    assert all(block.num_events == block.stop - block.start for block in blocks)
    assert max(block.num_events for block in blocks) <= max(64, pool_events // 4)


def test_blocks_end_with_baskets_that_fit():
    blocks = cut_blocks([selection([0, 500, 1000, 1300])], 4096)
    assert [(block.start, block.stop) for block in blocks] == [(0, 500), (500, 1000), (1000, 1300)]


def test_small_baskets_share_a_block_and_large_ones_are_divided_evenly():
    assert [block.stop for block in cut_blocks([selection(list(range(0, 201, 8)))], 64)] == [64, 128, 192, 200]
    assert [block.stop for block in cut_blocks([selection([0, 3000])], 4096)] == [1000, 2000, 3000]


def test_blocks_without_selected_events_are_left_out():
    blocks = cut_blocks([selection([0, 64, 128, 192], np.array([3, 5, 130]))], 64)
    assert [(block.start, block.num_events) for block in blocks] == [(0, 2), (128, 1)]


@pytest.mark.parametrize("shuffle", [True, False])
def test_pools_hold_every_block_once_and_no_more_events_than_allowed(shuffle):
    pools = order_of(BLOCKS, shuffle=shuffle).pools(3)
    assert sorted(b.file_index * 1000 + b.start for p in pools for b in p.blocks) == [
        b.file_index * 1000 + b.start for b in BLOCKS
    ]
    assert all(pool.num_events <= 256 for pool in pools)
    assert [pool.index for pool in pools] == list(range(10))


def test_a_block_larger_than_a_pool_has_a_pool_of_its_own():
    pools = order_of([Block(0, 0, 400, 400), Block(0, 400, 500, 100)], shuffle=False).pools(0)
    assert [pool.num_events for pool in pools] == [400, 100]


def test_pools_mix_files():
    mixed = [len({block.file_index for block in pool.blocks}) for pool in order_of(BLOCKS).pools(0)]
    assert np.mean(mixed) > 2


def test_the_order_depends_on_seed_and_epoch_alone():
    assert order_of(BLOCKS).pools(5) == order_of(BLOCKS).pools(5)
    assert order_of(BLOCKS).pools(5) != order_of(BLOCKS, seed=2).pools(5)
    assert [p.blocks for p in order_of(BLOCKS).pools(5)] != [p.blocks for p in order_of(BLOCKS).pools(6)]


def test_rows_are_permuted_differently_in_each_pool_and_epoch():
    order = order_of(BLOCKS)
    rows = [tuple(order.rows(pool)) for epoch in (0, 1) for pool in order.pools(epoch)]
    assert all(sorted(row) == list(range(256)) for row in rows)
    assert len(set(rows)) == len(rows)


def test_without_shuffling_files_and_entries_keep_their_order():
    order = order_of(BLOCKS, shuffle=False)
    pools = order.pools(7)
    assert [block for pool in pools for block in pool.blocks] == BLOCKS
    assert order.rows(pools[0]).tolist() == list(range(256))


def test_permutations_are_uniform():
    firsts = [permutation(5, seed, 0, 0)[0] for seed in range(2000)]
    # Five sigma of a binomial around 400.
    assert np.abs(np.bincount(firsts, minlength=5) - 400).max() < 5 * np.sqrt(2000 * 0.2 * 0.8)


def test_permutations_stay_what_they_are_between_versions():
    # A checkpoint of last year must find its place again.
    assert permutation(8, 1, 2, 3).tolist() == [0, 6, 2, 3, 1, 4, 7, 5]
    assert batch_seed(1, 2, 3) == 6313181550870579831


@given(seed=st.integers(-(2**63), 2**64), epoch=st.integers(0, 10**6), batch=st.integers(0, 10**9))
def test_batch_seeds_fit_every_generator(seed, epoch, batch):
    assert 0 <= batch_seed(seed, epoch, batch) < 2**63
