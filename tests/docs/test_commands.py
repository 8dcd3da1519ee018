"""The commands on the pages must exist, know the options and the settings that they are given."""

import re
import shlex
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from lib.reference.configuration import configuration_reference

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(page: Path) -> list[list[str]]:
    """Words of each command of ours in the blocks of a page; comments are left out."""
    blocks = re.findall(r"^```(?:bash)?\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = [shlex.split(line, comments=True) for line in lines if re.match(r"(\S+=\S+ )*python (-m lib|macro/)", line)]
    return [words[words.index("python") :] for words in found]


@cache
def help_of(module: str) -> str:
    """What a command says of itself."""
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("argparse.ArgumentParser._print_message", lambda self, text, file=None: printed.append(text))
        with pytest.raises(SystemExit):
            import_module(module).main(["--help"])
    return "".join(printed)


@cache
def settings() -> frozenset[str]:
    return frozenset(re.findall(r"^\| `([\w.]+)` ", configuration_reference(), re.MULTILINE))


def words_of_commands() -> list[tuple[str, list[str]]]:
    found = [(page.name, words) for page in PAGES for words in commands(page)]
    assert len(found) > 40
    return found


def module_of(words: list[str]) -> str:
    return words[2] if words[1] == "-m" else words[1].removesuffix(".py").replace("/", ".")


def test_options_are_those_of_the_command() -> None:
    unknown = []
    for page, words in words_of_commands():
        module = module_of(words)
        assert (ROOT / (module.replace(".", "/") + ".py")).exists(), f"{page}: {' '.join(words)}"
        options = [word.split("=")[0] for word in words if word.startswith("--")]
        # Commands without options say so in their own way.
        unknown += [f"{page}: {module} {option}" for option in options if option not in help_of(module)]
    assert unknown == []


def test_settings_are_known() -> None:
    unknown = []
    for page, words in words_of_commands():
        given = [words[at + 1].split("=")[0] for at, word in enumerate(words) if word == "--set"]
        unknown += [f"{page}: {key}" for key in given if key not in settings()]
    assert unknown == []


def test_configurations_are_there() -> None:
    missing = []
    for page, words in words_of_commands():
        given = [words[at + 1] for at, word in enumerate(words) if word == "--config"]
        missing += [f"{page}: {name}" for name in given if name.startswith("configs/") and not (ROOT / name).exists()]
    assert missing == []
