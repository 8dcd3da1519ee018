"""What is no exported model must be refused in words before anything is read."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from lib.errors import ExportError
from lib.export import session
from lib.export.model_export import ExportReport
from lib.export.odd_events import generate_events
from lib.export.session import ExportedModel

Change = Callable[[onnx.ModelProto], None]


@pytest.fixture
def changed(report: ExportReport, tmp_path: Path) -> Callable[[Change], Path]:
    """Make a copy of the exported file with something changed."""

    def make(change: Change) -> Path:
        model = onnx.load(report.path)
        change(model)
        onnx.save(model, tmp_path / "changed.onnx")
        return tmp_path / "changed.onnx"

    return make


def test_outputs_come_by_name(exported: ExportedModel) -> None:
    npho, time = generate_events(3, np.random.default_rng(0))
    shapes = {name: (values.shape, values.dtype) for name, values in exported.run(npho, time).items()}
    assert shapes == {
        "angle": ((3, 2), np.float32),
        "energy": ((3, 1), np.float32),
        "energy_sigma": ((3, 1), np.float32),
        "timing": ((3, 1), np.float32),
        "uvwFI": ((3, 3), np.float32),
        "uvwFI_sigma": ((3, 3), np.float32),
        "angleVec": ((3, 3), np.float32),
        "n_gamma": ((3, 5), np.float32),
    }
    assert exported.provider == "CPUExecutionProvider"


def test_a_gpu_computes_in_full_precision_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    assert session._providers(use_gpu=True) == [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"]
    assert session._providers(use_gpu=False) == ["CPUExecutionProvider"]


def test_a_missing_file_is_refused_with_its_neighbours(report: ExportReport, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"modle\.onnx: no such model\. In its folder: .*model\.onnx"):
        ExportedModel.open(report.path.with_name("modle.onnx"))
    with pytest.raises(ExportError, match=r"In its folder: no \*\.onnx file"):
        ExportedModel.open(tmp_path / "nowhere" / "model.onnx")


@pytest.mark.parametrize("content", [b"", b"root" * 100, b"\x08\x0a\x12"])
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ExportError, match=r"x\.onnx: (cannot be read as an ONNX model|an ONNX file without)"):
        ExportedModel.open(tmp_path / "x.onnx")


def test_a_file_that_was_cut_short_is_refused(report: ExportReport, tmp_path: Path) -> None:
    content = report.path.read_bytes()
    for length in range(1, len(content), len(content) // 12):
        (tmp_path / "x.onnx").write_bytes(content[:length])
        with pytest.raises(ExportError, match=r"x\.onnx: "):
            ExportedModel.open(tmp_path / "x.onnx")


def test_a_model_of_another_program_is_refused(changed: Callable[[Change], Path]) -> None:
    path = changed(lambda model: model.ClearField("metadata_props"))
    with pytest.raises(ExportError, match=r"changed\.onnx: an ONNX file without this suite's metadata"):
        ExportedModel.open(path)


def test_metadata_that_describe_other_outputs_are_refused(changed: Callable[[Change], Path]) -> None:
    path = changed(lambda model: model.graph.output.pop() and None)
    with pytest.raises(
        ExportError, match=r"its outputs are \['angle', .*'angleVec'\], but its metadata describe .*'n_gamma'"
    ):
        ExportedModel.open(path)


def test_a_graph_with_other_inputs_is_refused(changed: Callable[[Change], Path]) -> None:
    def rename(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            node.input[:] = ["charge" if name == "npho" else name for name in node.input]
        model.graph.input[0].name = "charge"

    with pytest.raises(ExportError, match=r"its inputs are \{'charge': \(.*4760\), .*expected \{'npho': \(.*4760\)"):
        ExportedModel.open(changed(rename))


def test_a_model_works_wherever_its_file_is(report: ExportReport, exported: ExportedModel, tmp_path: Path) -> None:
    copied = ExportedModel.open(Path(shutil.copy(report.path, tmp_path)))
    events = generate_events(2, np.random.default_rng(1))
    np.testing.assert_array_equal(copied.run(*events)["uvwFI"], exported.run(*events)["uvwFI"])
