import os

import pytest

from lib.data.files.paths import matching_files, resolve_paths
from lib.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.root", "a.root", "notes.md", "deep/c.root"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(path):
    return [file.name for file in resolve_paths(path)]


def test_a_file_stands_for_itself(folder):
    assert names(str(folder / "a.root")) == ["a.root"]


def test_a_folder_stands_for_its_root_files_in_order(folder):
    assert names(str(folder)) == ["a.root", "b.root"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("*.root", ["a.root", "b.root"]), ("**/*.root", ["a.root", "b.root", "c.root"]), ("[b-z].root", ["b.root"])],
)
def test_a_pattern_stands_for_what_it_matches(folder, pattern, expected):
    assert names(str(folder / pattern)) == expected


def test_relative_patterns_start_at_the_working_directory(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert names("deep/*.root") == ["c.root"]
    assert names(["a.root", "./b.root"]) == ["a.root", "b.root"]


def test_a_text_file_lists_any_of_these_with_comments(folder):
    listing = folder / "files.txt"
    listing.write_text(f"# training\n\n{folder}/deep\n{folder}/b*.root  # the second\n")
    assert names(str(listing)) == ["b.root", "c.root"]


def test_repetitions_and_links_count_once(folder):
    (folder / "link.root").symlink_to(folder / "a.root")
    assert names([str(folder), str(folder / "a.root")]) == ["a.root", "b.root"]
    assert len(matching_files([str(folder), str(folder / "a.root")])) == 4


def test_a_missing_file_is_answered_with_its_neighbours(folder):
    with pytest.raises(DataError, match=r"aa.root: no such file. Nearest in .*: [ab].root, [ab].root"):
        resolve_paths(str(folder / "aa.root"))


def test_a_missing_folder_is_named(folder):
    with pytest.raises(DataError, match=r"no such file, nor its folder .*nowhere"):
        resolve_paths(str(folder / "nowhere" / "a.root"))


def test_a_pattern_without_match_is_answered_with_what_is_there(folder):
    with pytest.raises(DataError, match=r"z\*.root: the pattern matches no file. In .*: [ab].root, [ab].root"):
        resolve_paths(str(folder / "z*.root"))


def test_a_folder_without_root_files_is_refused(folder):
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: the folder holds no \*.root file; it holds: none"):
        resolve_paths(str(folder / "empty"))


def test_all_missing_inputs_are_listed_at_once(folder):
    with pytest.raises(DataError, match=r"(?s)Input files are missing:.*x.root.*y.root"):
        resolve_paths([str(folder / "x.root"), str(folder / "a.root"), str(folder / "y.root")])


def test_an_empty_list_is_refused():
    with pytest.raises(DataError, match="the list of paths is empty"):
        resolve_paths([])


def test_an_empty_text_file_is_refused(folder):
    (folder / "files.txt").write_text("# nothing\n")
    with pytest.raises(DataError, match=r"files.txt: holds no path"):
        resolve_paths(str(folder / "files.txt"))


def test_a_list_that_names_a_list_is_refused(folder):
    (folder / "files.txt").write_text(f"{folder}/files.txt\n")
    with pytest.raises(DataError, match="may not name another list"):
        resolve_paths(str(folder / "files.txt"))


def test_a_text_file_that_is_no_text_is_refused(folder):
    (folder / "files.txt").write_bytes(os.urandom(8) + b"\xff\xfe\x80")
    with pytest.raises(DataError, match=r"files.txt: cannot be read as a list of paths"):
        resolve_paths(str(folder / "files.txt"))
