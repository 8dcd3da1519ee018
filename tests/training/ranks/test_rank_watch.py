"""A rank that gives no sign of life is noticed by the one before it, and told to all."""

import pytest

from lib.training.ranks.rank_watch import RankWatch


class Shelf:
    """The store of torchrun, in one process."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.is_gone = False

    def set(self, key: str, value: str) -> None:
        self._answer()
        self.kept[key] = value.encode()

    def get(self, key: str) -> bytes:
        self._answer()
        return self.kept[key]

    def check(self, keys: list[str]) -> bool:
        self._answer()
        return all(key in self.kept for key in keys)

    def _answer(self) -> None:
        if self.is_gone:
            raise RuntimeError("Broken pipe\nframe 0")


class Ranks:
    """Three watches on one shelf and one clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.shelf = Shelf()
        self.watches = [RankWatch(self.shelf, rank, 3, patience=15, clock=lambda: self.now) for rank in range(3)]

    def look(self, *ranks: int) -> list[str]:
        self.now += 4
        return [self.watches[rank].look() for rank in ranks]


@pytest.fixture
def ranks() -> Ranks:
    return Ranks()


def test_ranks_that_live_are_left_alone(ranks: Ranks) -> None:
    for _ in range(20):
        assert ranks.look(0, 1, 2) == ["", "", ""]


def test_a_rank_that_stops_is_noticed_and_all_are_told(ranks: Ranks) -> None:
    ranks.look(2, 1, 0)
    seen = [ranks.look(0, 1) for _ in range(4)]
    assert [one[1] for one in seen[:3]] == ["", "", ""]
    assert seen[3][0] == ""
    assert seen[3][1].startswith("rank 2 (")
    assert seen[3][1].endswith("gives no sign of life for 16 s")
    ranks.watches[1].tell_others(seen[3][1])
    assert ranks.look(0) == [seen[3][1]]


def test_a_rank_that_never_began_is_noticed(ranks: Ranks) -> None:
    for _ in range(3):
        assert ranks.look(1) == [""]
    assert ranks.look(1) == ["rank 2 (it never gave one) gives no sign of life for 16 s"]


def test_a_rank_that_left_is_not_waited_for(ranks: Ranks) -> None:
    ranks.look(2, 1, 0)
    ranks.watches[2].leave()
    for _ in range(10):
        assert ranks.look(0, 1) == ["", ""]


def test_a_store_that_is_gone_is_a_lost_first_node(ranks: Ranks) -> None:
    ranks.look(2, 1, 0)
    ranks.shelf.is_gone = True
    for _ in range(3):
        assert ranks.look(0) == [""]
    assert ranks.look(0) == ["the first node does not answer (Broken pipe) for 16 s"]
    # Neither may fail.
    ranks.watches[0].tell_others("x")
    ranks.watches[0].leave()
