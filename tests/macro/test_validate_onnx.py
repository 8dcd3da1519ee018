"""The macro must print what was found, as text or JSON, and end with code 2 where a form differs."""

import json
from pathlib import Path

import pytest

from lib.cli.entry import run_command
from lib.evaluation.statistics.resolution import Quantile, ResolutionSummary
from lib.export import cpp_program, validation
from lib.export.form_differences import Difference
from lib.export.form_speed import Speed
from lib.export.validation import Validation, ValidationOptions
from lib.tasks import restore
from macro.validate_onnx import main

WORDS = ["model.onnx", "best.pth", "--input", "a.root", "b.root"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Replace reading and comparing; the arguments of each comparison."""
    seen: list[tuple[object, ...]] = []

    def compare(trained: object, inpainter: object, options: ValidationOptions) -> Validation:
        seen.append((trained, inpainter, options))
        energy = ResolutionSummary("energy", "%", 100, 0, Quantile(2.5, 0.1), None)
        largest = 3e-5 if options.batch_size == 7 else 3e-7
        return Validation(
            100,
            [Difference("python", "energy", largest, 1e-7, 12)],
            ["a.root entry 12"],
            {"torch": [energy], "python": [energy]},
            [Speed("torch", 4.0, 500.0), Speed("python", 2.0, 1000.0)],
            1e-5,
        )

    monkeypatch.setattr(restore, "load_trained", lambda path, averaged: (path.name, averaged))
    monkeypatch.setattr(cpp_program, "build_program", lambda sources: Path("program"))
    monkeypatch.setattr(validation, "validate_export", compare)
    return seen


def test_options_are_handed_on(calls: list[tuple[object, ...]]) -> None:
    more = ["--events", "50", "--batch_size", "8", "--num_threads", "2", "--repeat", "3", "--branch", "npho=my_npho"]
    assert main([*WORDS, *more, "--no-ema", "--no-cpp", "--no-compare_truth", "--inpainter", "inpainter.pth"]) == 0
    ((trained, inpainter, options),) = calls
    assert (trained, inpainter) == (("best.pth", False), ("inpainter.pth", False))
    assert isinstance(options, ValidationOptions)
    assert (options.model, options.inputs, options.program) == (Path("model.onnx"), ["a.root", "b.root"], None)
    assert (options.num_events, options.batch_size, options.num_threads, options.repeat) == (50, 8, 2, 3)
    assert (options.compare_truth, options.branches) == (False, {"npho": "my_npho"})


def test_json_holds_every_number(calls: list[tuple[object, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, "--json"]) == 0
    assert calls[0][:2] == (("best.pth", True), None)
    rows = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows["difference.python.energy"]["value"] == 3e-7
    assert rows["difference.python.energy"]["reference"] == 1e-5
    assert rows["difference.python.energy"]["context"]["worst_event"] == "a.root entry 12"
    assert rows["difference.python.energy.99.9%"]["value"] == 1e-7
    assert (rows["resolution.python.energy"]["value"], rows["resolution.python.energy"]["unit"]) == (2.5, "%")
    assert rows["latency.python"]["ratio"] == 0.5
    assert rows["throughput.python.batch64"]["ratio"] == 2.0


def test_text_ends_with_the_resolutions_side_by_side(
    calls: list[tuple[object, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(WORDS) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["difference.python.energy", "3e-07", "spread"]
    assert lines[-1].split() == ["energy", "(%)", "2.5", "+-", "0.1", "2.5", "+-", "0.1"]


def test_a_form_that_differs_is_an_error_after_the_table(
    calls: list[tuple[object, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(main, [*WORDS, "--batch_size", "7"]) == 2
    captured = capsys.readouterr()
    assert "difference.python.energy" in captured.out
    assert "a.root entry 12, accepted are 1e-05" in captured.err
