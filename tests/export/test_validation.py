"""The forms of an export must be compared event by event, and a difference must be seen and placed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import uproot

from lib.data.branches import TRUTH_WIDTHS
from lib.errors import DataError, ExportError
from lib.export import validation
from lib.export.cpp_program import build_program
from lib.export.exportable import FloatArray
from lib.export.forms import PythonForm, Readings
from lib.export.model_export import ExportReport
from lib.export.odd_events import generate_events
from lib.export.validation import ValidationOptions, validate_export
from lib.tasks.restore import TrainedModel, load_trained

CPP = Path(__file__).parents[2] / "macro" / "cpp"
TRUTH = ("emiAng", "energyTruth", "timeTruth", "uvwTruth", "emiVec")
COUNTS = (7, 10)


@pytest.fixture(scope="module")
def trained(regressor_checkpoint: Path) -> TrainedModel:
    return load_trained(regressor_checkpoint)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("validation")
    for index, count in enumerate(COUNTS):
        rng = np.random.default_rng(index)
        npho, time = generate_events(count, rng)
        branches = {"my_npho": npho, "relative_time": time}
        branches |= {name: rng.random((count, TRUTH_WIDTHS[name]), dtype=np.float32) for name in TRUTH}
        with uproot.recreate(folder / f"{index}.root") as file:
            file.mktree("tree", {name: (values.dtype, values.shape[1:]) for name, values in branches.items()})
            file["tree"].extend(branches)
    return folder


@pytest.fixture
def options(report: ExportReport, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ValidationOptions:
    monkeypatch.setattr(validation, "CHUNK_EVENTS", 4)
    return ValidationOptions(report.path, [str(data)], None, tmp_path, batch_size=3, repeat=1)


def test_all_three_forms_say_the_same_and_are_timed(trained: TrainedModel, options: ValidationOptions) -> None:
    program = build_program([CPP / "xec_predict.cpp", CPP / "xec_model.cpp"])
    result = validate_export(trained, None, replace(options, program=program))
    assert result.num_events == sum(COUNTS)
    assert {found.form for found in result.differences} == {"python", "cpp"}
    assert len(result.differences) == 2 * 8
    for found in result.differences:
        assert found.typical <= found.largest <= result.tolerance == 1e-5
    # Two programs never agree in every bit; zeros would mean that one was compared with itself.
    assert max(found.largest for found in result.differences) > 0.0
    widths = {form: {one.name: one.quantile.value for one in found} for form, found in result.resolutions.items()}
    assert list(widths) == ["torch", "python", "cpp"]
    for form in ("python", "cpp"):
        assert widths[form] == pytest.approx(widths["torch"], rel=1e-3)
    assert [speed.form for speed in result.speeds] == ["torch", "python", "cpp"]
    assert all(speed.latency_ms > 0 and speed.events_per_s > 0 for speed in result.speeds)
    result.check()


def test_a_difference_is_found_and_placed(
    trained: TrainedModel, options: ValidationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    faithful, calls = PythonForm.predict, []

    def wrong(form: PythonForm, readings: Readings, batch_size: int) -> dict[str, FloatArray]:
        said = faithful(form, readings, batch_size)
        calls.append(len(readings["npho"]))
        if len(calls) == 4:  # after four and three events of the first file, the second four of the second
            said["uvwFI"][2, 1] += 39.0
        return said

    monkeypatch.setattr(PythonForm, "predict", wrong)
    result = validate_export(trained, None, options)
    with pytest.raises(ExportError, match=r"'uvwFI' of python differs from torch by .* at .*1\.root entry 6, accepted"):
        result.check()


def test_a_value_that_is_no_number_in_one_form_is_no_agreement(
    trained: TrainedModel, options: ValidationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    faithful = PythonForm.predict

    def wrong(form: PythonForm, readings: Readings, batch_size: int) -> dict[str, FloatArray]:
        said = faithful(form, readings, batch_size)
        said["energy"][0] = np.nan
        return said

    monkeypatch.setattr(PythonForm, "predict", wrong)
    with pytest.raises(ExportError, match="'energy' of python differs from torch by inf"):
        validate_export(trained, None, replace(options, num_events=2)).check()


def test_only_the_first_events_are_compared(trained: TrainedModel, options: ValidationOptions) -> None:
    result = validate_export(trained, None, replace(options, num_events=9, compare_truth=False))
    assert (result.num_events, result.resolutions) == (9, {})


def test_the_file_of_another_checkpoint_is_refused(trained: TrainedModel, options: ValidationOptions) -> None:
    other = replace(trained, checkpoint=replace(trained.checkpoint, metrics={"val/loss": 0.4}))
    with pytest.raises(ExportError, match=r"not exported from this checkpoint; what they say of metrics differs"):
        validate_export(other, None, options)


def test_an_input_without_events_is_refused(trained: TrainedModel, options: ValidationOptions) -> None:
    with pytest.raises(DataError, match="there is no event to compare"):
        validate_export(trained, None, replace(options, num_events=0))
