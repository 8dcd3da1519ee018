import threading

import pytest

from lib.data.pools.read_ahead import map_ahead


@pytest.mark.parametrize("ahead", [1, 3])
def test_results_keep_the_order_of_their_items(ahead):
    assert list(map_ahead(lambda n: n * n, range(10), ahead=ahead)) == [n * n for n in range(10)]


def test_the_next_result_is_computed_while_one_is_in_use():
    computed = [threading.Event() for _ in range(3)]
    results = map_ahead(lambda n: computed[n].set() or n, range(3))
    assert next(results) == 0
    assert computed[1].wait(timeout=10)


def test_no_more_than_asked_for_is_taken_ahead():
    taken = []
    items = (taken.append(n) or n for n in range(100))
    results = map_ahead(lambda n: n, items, ahead=2)
    next(results)
    assert taken == [0, 1, 2]
    results.close()
    assert len(taken) == 3


def test_an_error_arrives_where_its_result_was_due():
    results = map_ahead(lambda n: 1 // n, [1, 0])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
