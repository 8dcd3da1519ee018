"""Run names as an attacker or a tired shift worker would write them, through the whole command."""

import random
import string
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from lib.cli import training_run
from lib.cli.entry import EXIT_DONE, EXIT_USER_ERROR, run_command
from lib.cli.schemas import TrainingConfiguration
from lib.cli.start_point import choose_run_name
from lib.train_mae import main
from lib.training.records.recorder import claim_folder

CANARY = "canary"
HOSTILE = [
    "../x", "..", ".", "../../x", "a/../../x", "a/b", "/tmp/x", "//x", "~", "~root", "..\\x", "C:\\x", "\x00", "a\x00b",
    "a\n", "a\nb", "\r", "\t", "", " ", "  a", "a ", "-rf", "--help", ".hidden", "$(touch canary)", "`touch canary`",
    "$IFS", "${PATH}", "'; touch canary; '", '"; touch canary; "', "| touch canary", "&& touch canary", "> canary",
    "%j", "%(name)s", "{index}", "*", "?", "[a]", "#", "!!", "!!python/object:os.system", "&a", "*a", "\\", "a:b",
    "a;b", "a,b", "x" * 129, "x" * 300, "x" * 100_000, "é", "名", "\u0430b", "a\u202eb", "\ufeffa", "\uff41", "a\u0301",
    "😀", "%2e%2e%2fx", "..%2fx", "file:///x", "null", "true", "1e400", "-0", "[]", "{}", "!ref x", "\ud800", "\x1b[2J",
    "con", "a" * 128, "a", "0",
]  # fmt: skip


def hostile_names(count: int) -> list[str]:
    """Return the list above and random mixtures of its pieces, all different."""
    draw = random.Random(5)
    pieces = [*HOSTILE[:50], *string.punctuation, *string.ascii_letters[:8], "..", "/", "canary"]
    names = list(dict.fromkeys(HOSTILE))
    while len(names) < count:
        name = "".join(draw.choices(pieces, k=draw.randint(1, 4)))
        if name not in names:
            names.append(name)
    return names[:count]


def entries(root: Path) -> list[Path]:
    return sorted(root.rglob("*"))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a training does nothing but take its own folder."""

    def take_folder(config: TrainingConfiguration) -> int:
        folder = claim_folder(config.checkpoint, choose_run_name(config), None)
        (folder / "run.json").touch()
        return EXIT_DONE

    monkeypatch.setattr(training_run, "run_training", take_folder)
    work = tmp_path / "work" / "here"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    return work


def write_config(folder: Path, name: str) -> None:
    # What stands in a file as another type is a mistake of its own; here it is text as it was meant.
    config = {"data": {"train_path": "a", "val_path": "b"}, "mlflow": {"run_name": name}}
    (folder / "a.yaml").write_text(yaml.safe_dump(config, allow_unicode=False), encoding="utf-8")


def run_named(folder: Path, name: str, way: str) -> int:
    """Give a run its name in the file or on the command line; return the exit code."""
    arguments: Sequence[str] = ["--config", "a.yaml"]
    write_config(folder, "plain" if way == "line" else name)
    if way == "line":
        arguments = [*arguments, "--set", f"mlflow.run_name={name}"]
    return run_command(main, arguments)


def prove(place: Path, names: Sequence[str], capsys: pytest.CaptureFixture[str]) -> int:
    """Try every name both ways; return how many were refused."""
    root, refused = place.parents[1], 0
    for name in names:
        for way in ("file", "line"):
            before = entries(root)
            code = run_named(place, name, way)
            message = capsys.readouterr().err
            new = set(entries(root)) - set(before) - {place / "a.yaml"}
            if code == EXIT_DONE:
                # Nothing but one folder below the root of runs, and the file in it.
                (folder,) = (path for path in new if path.is_dir() and path.name != "artifacts")
                assert folder.parent == place / "artifacts", name
                assert new <= {folder, folder.parent, folder / "run.json"}, name
                (folder / "run.json").unlink()
                folder.rmdir()
                continue
            refused += 1
            assert code == EXIT_USER_ERROR, name
            assert message.startswith("error: "), (name, message)
            assert any(where in message for where in ("run_name", "--set", "a.yaml")), (name, message)
            assert "Traceback" not in message, name
            # A terminal obeys what it is shown.
            assert message.replace("\n", "").isprintable(), (name, message)
            assert len(message) < 2000, name
            assert not new, name
    return refused


def test_hostile_run_names_are_refused_and_touch_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prove(place, hostile_names(60), capsys) >= 100


@pytest.mark.slow
def test_two_hundred_hostile_run_names_are_refused_and_touch_nothing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = hostile_names(200)
    assert len(names) == 200
    assert prove(place, names, capsys) >= 300
