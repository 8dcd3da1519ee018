"""The exported file must say what it holds, and appear only if it is the function that was validated."""

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.errors import ExportError
from lib.export import model_export
from lib.export.model_export import ExportOptions, ExportReport, export_model
from lib.export.odd_events import generate_events
from lib.export.parity import TOLERANCE
from lib.export.session import ExportedModel
from lib.tasks.restore import TrainedModel, load_trained


@pytest.fixture(scope="module")
def trained(regressor_checkpoint: Path) -> TrainedModel:
    return load_trained(regressor_checkpoint)


def test_the_report_says_what_the_file_says(report: ExportReport, exported: ExportedModel) -> None:
    assert exported.metadata == report.metadata
    assert report.size_bytes == report.path.stat().st_size
    assert list(report.differences) == [output.name for output in report.metadata.outputs]
    assert all(0.0 <= difference <= TOLERANCE for difference in report.differences.values())


def test_outputs_have_units_and_truth_branches(report: ExportReport) -> None:
    described = {output.name: (output.labels, output.unit, output.truth_branch) for output in report.metadata.outputs}
    assert described == {
        "angle": (("theta", "phi"), "deg", "emiAng"),
        "energy": (("energy",), "GeV", "energyTruth"),
        "energy_sigma": (("energy",), "GeV", "energyTruth"),
        "timing": (("time",), "s", "timeTruth"),
        "uvwFI": (("u", "v", "w"), "cm", "uvwTruth"),
        "uvwFI_sigma": (("u", "v", "w"), "cm", "uvwTruth"),
        "angleVec": (("x", "y", "z"), "1", "emiVec"),
        "n_gamma": (("p0", "p1", "p2", "p3", "p4"), "probability", "nGamma"),
    }
    assert [output.name for output in report.metadata.values] == ["angle", "energy", "timing", "uvwFI", "angleVec"]
    errors = [output.name for output in report.metadata.outputs if output.role == "error"]
    assert errors == ["energy_sigma", "uvwFI_sigma"]


def test_errors_are_positive_directions_have_length_one_and_probabilities_add_up(exported: ExportedModel) -> None:
    predicted = exported.run(*generate_events(16, np.random.default_rng(3)))
    assert (predicted["energy_sigma"] > 0).all()
    assert (predicted["uvwFI_sigma"] > 0).all()
    np.testing.assert_allclose(np.linalg.norm(predicted["angleVec"], axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(predicted["n_gamma"].sum(axis=1), 1.0, rtol=1e-5)


def test_the_file_tells_where_it_comes_from(report: ExportReport, trained: TrainedModel) -> None:
    metadata, config = report.metadata, trained.checkpoint.config
    canonical = json.dumps(config, sort_keys=True, separators=(",", ":"))
    assert metadata.kind == "regressor"
    assert (metadata.tree_name, metadata.npho_branch, metadata.time_branch) == ("tree", "npho", "relative_time")
    assert metadata.branches == {"npho": "my_npho"}
    assert metadata.config_sha256 == hashlib.sha256(canonical.encode()).hexdigest()
    assert metadata.revision == "0123456789ab"
    assert Normalization.from_dict(metadata.normalization) == trained.normalization
    assert metadata.normalization_fingerprint == trained.normalization.fingerprint()


def test_metrics_that_json_cannot_hold_are_left_out(report: ExportReport, trained: TrainedModel) -> None:
    assert "val/broken" in trained.checkpoint.metrics
    assert report.metadata.metrics == {"val/loss": 0.5}


def test_the_graph_is_named_dynamic_and_whole(report: ExportReport) -> None:
    model = onnx.load(report.path, load_external_data=False)
    onnx.checker.check_model(model)
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "npho": ["batch", 4760],
        "time": ["batch", 4760],
        "angle": ["batch", 2],
        "energy": ["batch", 1],
        "energy_sigma": ["batch", 1],
        "timing": ["batch", 1],
        "uvwFI": ["batch", 3],
        "uvwFI_sigma": ["batch", 3],
        "angleVec": ["batch", 3],
        "n_gamma": ["batch", 5],
    }
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_no_path_of_the_machine_is_in_the_file(report: ExportReport) -> None:
    content = report.path.read_bytes()
    assert b"stack_trace" not in content
    assert str(Path(model_export.__file__).parents[2]).encode() not in content


def test_an_export_says_nothing_of_what_torch_decided(export_log: list[str], report: ExportReport) -> None:
    # Warnings fail every test by themselves; this is about the log of the training that exports at its end.
    assert report.path.exists()
    assert export_log == []


def test_a_failed_comparison_leaves_no_file(
    trained: TrainedModel, report: ExportReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The graph normalizes by other numbers than the model: what an exporter would do that got one constant wrong.
    other = replace(trained, normalization=Normalization.from_config(NormalizationConfig(npho_scale=1001.0)))
    monkeypatch.setattr(model_export, "build_graph", lambda *_, **__: EarlierGraph(report.path))
    with pytest.raises(
        ExportError,
        match=r"Output '\w+' of the exported model differs by .* of its spread, accepted are 1e-05: .*event",
    ):
        export_model(other, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class EarlierGraph:
    """Stands for a graph that was built before."""

    path: Path

    def save(self, path: Path, *, external_data: bool) -> None:
        assert not external_data
        shutil.copy(self.path, path)


def test_an_unknown_task_is_refused_with_the_nearest(trained: TrainedModel, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no task 'enrgy'; nearest: energy"):
        export_model(trained, tmp_path / "model.onnx", ExportOptions(tasks=["angle", "enrgy"]))


def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.delattr(model_export, "build_graph")
    with pytest.raises(ExportError, match=r"model\.onnx: cannot be written \(.*\)"):
        export_model(trained, tmp_path / "file" / "model.onnx")


def test_an_opset_that_nobody_translates_to_is_refused(trained: TrainedModel, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"Opset 11: expected 18 to 23"):
        export_model(trained, tmp_path / "model.onnx", ExportOptions(opset=11))
