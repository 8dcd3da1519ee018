"""Figures must reach the disk whole, in the format of their name, with text as text."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from lib.errors import UserError
from lib.evaluation.drawing.figure_file import check_figure_suffix, save_figure


@pytest.fixture
def figure() -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.text(0.5, 0.5, "words")
    return figure


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"), (".PNG", b"\x89PNG")]
)
def test_the_suffix_chooses_the_format(tmp_path: Path, figure: Figure, suffix: str, start: bytes) -> None:
    path = tmp_path / "new" / f"figure{suffix}"
    save_figure(figure, path)
    assert path.read_bytes().startswith(start)
    assert [found.name for found in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["figure.gif", "figure", "figure.root"])
def test_an_unknown_suffix_is_refused_and_nothing_written(tmp_path: Path, figure: Figure, name: str) -> None:
    with pytest.raises(UserError, match=r"cannot write a figure as .*; expected one of \.png, \.pdf, \.svg"):
        save_figure(figure, tmp_path / name)
    with pytest.raises(UserError, match="cannot write a figure"):
        check_figure_suffix(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_older_figure(tmp_path: Path, figure: Figure, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "figure.png"
    path.write_text("older")

    def fail(temporary: Path, **options: object) -> None:
        temporary.write_text("half")
        raise OSError("no space left")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="no space left"):
        save_figure(figure, path)
    assert path.read_text() == "older"
    assert [found.name for found in tmp_path.iterdir()] == ["figure.png"]


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png"])
def test_the_same_figure_is_the_same_file(tmp_path: Path, figure: Figure, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        save_figure(figure, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_words_stay_words(tmp_path: Path, figure: Figure) -> None:
    save_figure(figure, tmp_path / "figure.svg")
    assert ">words</text>" in (tmp_path / "figure.svg").read_text()
    save_figure(figure, tmp_path / "figure.pdf")
    content = (tmp_path / "figure.pdf").read_bytes()
    assert b"/Type3" not in content
    assert b"/CIDFontType2" in content


def test_the_resolution_sets_the_pixels(tmp_path: Path, figure: Figure) -> None:
    save_figure(figure, tmp_path / "figure.png", dots_per_inch=150)
    header = (tmp_path / "figure.png").read_bytes()[16:24]
    assert (int.from_bytes(header[:4]), int.from_bytes(header[4:])) == (300, 150)
