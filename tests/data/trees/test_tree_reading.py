from lib.data.trees.tree_reading import TreeCache


def test_a_tree_that_came_back_is_lent_again(root_folder):
    cache = TreeCache("tree")
    with cache.borrow(root_folder / "part_0.root") as first:
        pass
    with cache.borrow(root_folder / "part_0.root") as second:
        assert second is first


def test_two_borrowers_at_once_get_trees_of_their_own(root_folder):
    cache = TreeCache("tree")
    path = root_folder / "part_0.root"
    with cache.borrow(path) as first, cache.borrow(path) as second:
        assert first is not second


def test_the_longest_unused_file_is_closed_first(root_folder):
    cache = TreeCache("tree", max_idle=1)
    with cache.borrow(root_folder / "part_0.root") as first:
        pass
    with cache.borrow(root_folder / "part_1.root") as second:
        pass
    assert first.file.closed
    assert not second.file.closed
    cache.close()
    assert second.file.closed
