"""The page must say what the folder says, break out of nothing, and need nothing from outside."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lib.errors import DataError
from lib.report.page import comparison_page, run_page
from lib.report.run_folder import read_run, run_labels
from lib.report.write import write_comparison, write_page
from tests.report.made_run import HOSTILE, add_ledger, add_predictions, add_rollback, add_skip, add_worst, make_run


class Reader(HTMLParser):
    """Collects the elements of a page and checks that they nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def full_run(tmp_path: Path) -> Path:
    folder = make_run(tmp_path / "run")
    add_predictions(folder, "run")
    add_worst(folder, "run")
    add_skip(folder)
    add_rollback(folder)
    add_ledger(folder)
    (folder / "profile.txt").write_text("part seconds\nforward 1.0\n")
    return folder


def test_every_part_of_the_folder_is_on_the_page(full_run: Path) -> None:
    reader = Reader(run_page(read_run(full_run), {"training.lr": "0.1"}))
    text = " ".join(reader.text)
    for expected in (
        "best is epoch 3",
        "not finite",
        "the loss rose",
        "events.root",
        "forward 1.0",
        "off by 9 %",
        "0.1",
    ):
        assert expected in text
    headings = [name for name, _ in reader.elements].count("h2")
    assert headings == 10


def test_links_lead_to_parts_and_ids_are_unique(full_run: Path) -> None:
    reader = Reader(run_page(read_run(full_run), {}))
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] or "" for name, attributes in reader.elements if name == "a"]
    assert links
    assert all(link.startswith("#") and link[1:] in ids for link in links)


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", tags={HOSTILE: HOSTILE, "kind": HOSTILE}, metrics={HOSTILE: 1.0})
    add_worst(folder, "run", HOSTILE)
    add_skip(folder, HOSTILE)
    add_ledger(folder, HOSTILE)
    (folder / "profile.txt").write_text(HOSTILE)
    identity = json.loads((folder / "run.json").read_text())
    page = run_page(read_run(folder), {})
    (folder / "run.json").write_text(json.dumps({**identity, "run_name": HOSTILE, "parameters": {HOSTILE: HOSTILE}}))
    hostile_run = read_run(folder)
    for text in (page, run_page(hostile_run, {}), comparison_page([hostile_run, hostile_run])):
        reader = Reader(text)
        names = [name for name, _ in reader.elements]
        assert "img" not in names
        assert names.count("script") <= 2
        assert not any(key.startswith("on") for _, attributes in reader.elements for key in attributes)
        assert any(HOSTILE in piece for piece in reader.text)


def test_the_page_fetches_nothing(full_run: Path) -> None:
    page = run_page(read_run(full_run), {})
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert not re.search(r"url\(|@import", page)
    assert "default-src 'none'" in Reader(page).elements[4][1]["content"].replace("&#x27;", "'")  # type: ignore[union-attr]


def test_drawings_have_names_for_screen_readers(full_run: Path) -> None:
    drawings = [attributes for name, attributes in Reader(run_page(read_run(full_run), {})).elements if name == "svg"]
    assert len(drawings) > 3
    assert all(attributes["aria-label"] and attributes["role"] for attributes in drawings)


def test_a_bare_run_has_a_page_without_the_parts_it_lacks(tmp_path: Path) -> None:
    page = run_page(read_run(make_run(tmp_path / "run", epochs=1)), {})
    text = " ".join(Reader(page).text)
    assert "Nothing found to worry about" in text
    assert "Worst events" not in text


def test_several_runs_show_what_differs(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / name, name=name) for name in ("first", "second")]
    path = folders[1] / "run.json"
    path.write_text(path.read_text().replace('"training.lr": "0.5"', '"training.lr": "0.25"'))
    text = " ".join(Reader(comparison_page([read_run(folder) for folder in folders])).text)
    assert "0.25" in text
    assert "training.grad_clip" not in text


def test_runs_of_the_same_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / place / "run") for place in ("first", "second")]
    for folder, rate in zip(folders, ("0.5", "0.25"), strict=True):
        add_predictions(folder, "run")
        path = folder / "run.json"
        path.write_text(path.read_text().replace('"training.lr": "0.5"', f'"training.lr": "{rate}"'))
    runs = [read_run(folder) for folder in folders]
    assert run_labels(runs) == [f"run ({folder})" for folder in folders]
    text = " ".join(Reader(comparison_page(runs)).text)
    assert "0.25" in text
    for folder in folders:
        # In the tables of runs, settings and resolutions, in charts, and above the worries.
        assert text.count(f"run ({folder})") >= 5
    assert run_labels([runs[0], runs[0]])[0] != run_labels([runs[0], runs[0]])[1]


def test_pages_are_written_beside_the_checkpoints_or_where_asked(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run"))
    assert write_page(run, {}) == tmp_path / "run" / "report.html"
    assert write_comparison([run, run], tmp_path / "both.html").read_text().startswith("<!doctype html>")


def test_a_folder_without_an_epoch_is_refused(tmp_path: Path) -> None:
    make_run(tmp_path / "run", epochs=0)
    with pytest.raises(DataError, match="no finished epoch"):
        read_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("skipped_steps/step_1.json", "{", "cannot be read"),
        ("skipped_steps/step_1.json", "[]", "number of a step"),
        ("event_ledger.csv", "split,path\ntrain,a\n", "no ledger"),
        ("face_weights_run.csv", "quantity,face\nenergy,inner\n", "no table of face weights"),
        ("worst_events/worst_events_run.npz", "no archive", "cannot be read"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    folder = make_run(tmp_path / "run")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_run(folder)
