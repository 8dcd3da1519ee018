"""Files laid over a configuration."""

from pathlib import Path

import pytest

from lib.cli.options import PLATFORM_FOLDER, parse_training_options, platform_overlays
from lib.cli.schemas import SCHEMAS
from lib.config import load_config
from lib.config.document import parse_document
from lib.config.overrides import lay_over
from lib.errors import ConfigError
from lib.training import platform as machine
from lib.training.platform import Platform

ROOT = Path(__file__).parents[2]


def test_sections_are_merged_and_values_replaced() -> None:
    below = parse_document("a: {x: 1, y: [1, 2]}\nb: 3", "below")
    laid = lay_over(below, parse_document("a:\n  y: [5]\nc: {z: 4}", "above"))
    assert laid.data == {"a": {"x": 1, "y": [5]}, "b": 3, "c": {"z": 4}}
    assert below.data["a"] == {"x": 1, "y": [1, 2]}
    assert laid.overlays[("a", "y")] == "above"
    assert ("a", "x") not in laid.overlays


def test_a_fault_of_an_overlay_names_its_file_and_line(tmp_path: Path) -> None:
    base, over = tmp_path / "base.yaml", tmp_path / "over.yaml"
    base.write_text("data: {train_path: a, val_path: b}\n")
    over.write_text("training:\n  compilee: none\n")
    with pytest.raises(ConfigError, match=r"training.compilee \(line 2 of .*over.yaml\): unknown key; nearest: compil"):
        load_config(SCHEMAS["mae"], base, [], [over])


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
@pytest.mark.parametrize("name", ["gh200", "a100", "h200", "cpu"])
def test_every_platform_fits_every_training(kind: str, name: str) -> None:
    overlays = platform_overlays(name)
    config = load_config(SCHEMAS[kind], ROOT / "configs" / kind / "base.yaml", ["data.num_threads=3"], overlays)
    assert config.data.num_threads == 3
    assert config.data.num_workers == {"gh200": 1, "a100": "auto", "h200": "auto", "cpu": 0}[name]


def test_a_platform_is_a_name_a_file_or_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert platform_overlays(None) == ()
    assert platform_overlays("my/node.yaml") == (Path("my/node.yaml"),)
    for kind, file in (("h100", "h200.yaml"), ("cpu", "cpu.yaml")):
        found = Platform(kind, "x86_64", (), 1, 1, None)  # type: ignore[arg-type]
        monkeypatch.setattr(machine, "recognize_platform", lambda found=found: found)
        assert platform_overlays("auto") == (PLATFORM_FOLDER / file,)
    monkeypatch.setattr(machine, "recognize_platform", lambda: Platform("gpu", "x86_64", ("T4",), 1, 1, None))
    assert platform_overlays("auto") == ()
    with pytest.raises(ConfigError, match=r"--platform gh20: no such platform; nearest: gh200"):
        platform_overlays("gh20")


def test_the_option_reaches_the_configuration() -> None:
    options = parse_training_options("lib.train_mae", "", ["--config", "x.yaml", "--platform", "gh200"])
    assert options.overlays == (PLATFORM_FOLDER / "gh200.yaml",)
