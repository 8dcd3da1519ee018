import gc

import torch

from lib.data.pools.event_rows import RowMemory


def address(rows) -> int:
    return rows.x.data_ptr()


def test_rows_have_the_shapes_and_types_of_a_batch():
    rows = RowMemory(3, ("uvwTruth", "energyTruth")).lend()
    assert rows.x.shape == rows.valid.shape == (3, 4760, 2)
    assert (rows.x.dtype, rows.valid.dtype, rows.run.dtype) == (torch.float32, torch.bool, torch.int64)
    assert {name: tuple(values.shape) for name, values in rows.truth.items()} == {
        "uvwTruth": (3, 3),
        "energyTruth": (3, 1),
    }
    assert rows.x.is_contiguous()
    assert address(rows) % 64 == 0
    assert len(rows) == 3


def test_memory_is_used_again_when_nobody_looks_at_it():
    memory = RowMemory(4, ())
    rows = memory.lend()
    first = address(rows)
    del rows
    gc.collect()
    assert address(memory.lend()) == first


def test_memory_that_someone_looks_at_is_left_alone():
    memory = RowMemory(4, ())
    rows = memory.lend()
    view = rows.valid[2:3]
    first = address(rows)
    del rows
    gc.collect()
    other = memory.lend()
    assert address(other) != first
    del view
    gc.collect()
    assert address(memory.lend()) == first


def test_copied_rows_agree_in_everything():
    memory = RowMemory(4, ("uvwTruth",))
    source, target = memory.lend(), memory.lend()
    for rows, value in ((source, 1), (target, 0)):
        for tensor in (rows.x, rows.valid, rows.run, rows.event, rows.truth["uvwTruth"]):
            tensor.fill_(value)
    target.copy_rows(slice(1, 3), source, slice(0, 1))
    for tensor in (target.x, target.valid, target.run, target.event, target.truth["uvwTruth"]):
        assert tensor.flatten(1).sum(1).ne(0).tolist() == [False, True, True, False] if tensor.ndim > 1 else True
    assert target.run.tolist() == target.event.tolist() == [0, 1, 1, 0]
