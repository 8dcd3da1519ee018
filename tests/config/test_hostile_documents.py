"""Whatever stands in a configuration, it is read or refused with one message; nothing else happens."""

import random
from pathlib import Path

import pytest

from lib.cli.schemas import SCHEMAS
from lib.config.document import parse_document
from lib.config.loading import validate
from lib.config.overrides import apply_overrides
from lib.errors import ConfigError

SOUND = """\
kind: regressor
data: {train_path: train, val_path: [a, b], batch_size: 8, fiducial: {u_max: 20}}
tasks:
  energy: {weight: 0.5}
training:
  lr: 1e-4
  guard: {window: 64, active_after: 32}
mlflow: {run_name: plain}
"""
# What people, editors and attackers put in the place of a value, a key or anything between.
PIECES = [
    "1e-4", "-1", "0", ".nan", ".inf", "-.inf", "1e999", "9" * 60, "0x1F", "010", "no", "Yes", "~", "null", "true",
    "''", '""', "2024_01", "12:30:45", "[", "]", "{", "}", ":", ": ", "- ", "? ", "&a [*a]", "*a", "&a",
    "!!python/name:os.system", "!!python/object/apply:os.system ['touch canary']", "!!binary aGk=", "!!set {a}", "!x",
    "<<: *a", "<<: {lr: 1}", "%YAML 1.1", "---", "...", "#", "\t", "\n", "\r", "\x00", "\x1b", "\u2028", "\u0085",
    "\ufeff", "\ud800", "ⅼr", "lг", "lr\u200b", "１", "é", "🦑", "../../x", "/etc/passwd", "$(touch canary)",
    "`touch canary`", "'; touch canary; '", "x" * 300, "|", ">", "|2-", "'", '"', '"\\x', '"\\ud800"', "@", "`", "=",
    ",", "lr", "learning_rate", "training.lr", "model", "{a: {b: {c: 1}}}", "[" * 30, "- " * 30, "a: " * 30,
    "{lr: 1, lr: 2}", "[1, 2", "1 2", "None", "NaN", "1.5.2", "+", "-", "--", "1e", "e1", "0o9", "0b1",
]  # fmt: skip


def mutated(rng: random.Random) -> str:
    """Return the sound document with some of its characters, words or lines replaced, doubled, moved or cut."""
    text = SOUND
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        first, last = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        last = min(last, first + rng.choice([0, 1, 5, 20]))
        piece = rng.choice([rng.choice(PIECES), text[first:last] * 2, "", chr(rng.randrange(1, 0x3000))])
        text = text[:first] + piece + text[last:]
    return text


def prove(count: int, seed: int, folder: Path) -> tuple[int, int]:
    """Read mutated documents and settings; return how many were accepted and how many refused."""
    rng = random.Random(seed)
    keys = ["training.lr", "mlflow.run_name", "data", "tasks.energy.weight", "training", "", ".", "a.b", "kind"]
    accepted = refused = 0
    for _ in range(count):
        text, assignments = mutated(rng), []
        if rng.random() < 0.3:
            text, assignments = SOUND, [f"{rng.choice(keys)}={rng.choice(PIECES)}"]
        try:
            document = apply_overrides(parse_document(text, "file.yaml"), assignments)
            config = validate(SCHEMAS["regressor"], document)
            name = config.mlflow.run_name
            assert name is None or (folder / name).resolve().parent == folder.resolve()
            accepted += 1
        except ConfigError as error:
            assert "file.yaml" in str(error) or "--set" in str(error)
            refused += 1
    return accepted, refused


def test_five_thousand_documents_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    accepted, refused = prove(5000, 0, tmp_path)
    assert accepted > 100
    assert refused > 2000
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_hundred_thousand_documents_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sum(prove(100_000, 1, tmp_path)) == 100_000
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("place", ["key", "value", "setting"])
def test_each_piece_alone_is_read_or_refused(piece: str, place: str) -> None:
    forms = {"key": f"training: {{{piece}: 1}}\n", "value": f"training:\n  lr: {piece}\n", "setting": "a: 1\n"}
    text, assignments = forms[place], [f"training.lr={piece}"] if place == "setting" else []
    with pytest.raises(ConfigError, match=r"file\.yaml|--set"):
        validate(SCHEMAS["regressor"], apply_overrides(parse_document(text, "file.yaml"), assignments))
