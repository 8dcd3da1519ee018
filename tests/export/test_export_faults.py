"""Whatever happens while a model is exported, its file is the old one or the new one, whole."""

import errno
import multiprocessing
import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx_ir
import pytest
from torch.onnx import ONNXProgram

from lib.errors import ExportError
from lib.export import model_export
from lib.export.model_export import ExportReport, export_model
from lib.export.session import ExportedModel
from lib.tasks.restore import TrainedModel, load_trained
from tests.test_write_faults import ERRORS, failing_call
from tests.training.saving.test_disk_faults import full_disk

Export = Callable[[Path, int], ExportReport]


def exporter(trained: TrainedModel, traced: Path) -> Export:
    """Return what exports a version of a model to a file; the graph is that of a file, for tracing takes seconds."""

    def graph(*arguments: Any, **keywords: Any) -> ONNXProgram:
        program = ONNXProgram(onnx_ir.load(traced), None)  # type: ignore[arg-type]
        program.model.metadata_props.update(arguments[3])
        return program

    def export(path: Path, version: int) -> ExportReport:
        about = trained.checkpoint.about | {"revision": str(version)}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(model_export, "build_graph", graph)
            # The numbers have a test of their own; here the file is opened, and that is all.
            patch.setattr(model_export, "check_parity", lambda model, exported: {})
            return export_model(replace(trained, checkpoint=replace(trained.checkpoint, about=about)), path)

    return export


@pytest.fixture(scope="module")
def export(report: ExportReport, regressor_checkpoint: Path) -> Export:
    return exporter(load_trained(regressor_checkpoint), report.path)


def version_of(path: Path) -> int:
    """Return the version that a file holds; anything but a whole file is an error."""
    return int(ExportedModel.open(path, num_threads=1).metadata.revision)


# One of the four is enough to show that it is caught; what follows is the same.
REFUSALS = [
    pytest.param(error, id=errno.errorcode[error], marks=[pytest.mark.slow] if error != errno.ENOSPC else [])
    for error in ERRORS
]


@pytest.mark.parametrize("error", REFUSALS)
@pytest.mark.parametrize("existed", [True, False])
def test_a_refused_call_leaves_the_old_model_or_none(tmp_path: Path, export: Export, error: int, existed: bool) -> None:
    """Every fsync and the rename in turn."""
    path = tmp_path / "model.onnx"
    for owner, name, number in ((os, "fsync", 0), (os, "fsync", 1), (Path, "replace", 0)):
        path.unlink(missing_ok=True)
        if existed:
            export(path, 1)
        with failing_call(owner, name, number, error), pytest.raises(ExportError, match=r"cannot be written \("):
            export(path, 2)
        # The last sync is that of the folder, when the new file has its name.
        expected = {2} if number else {1} if existed else set()
        assert {version_of(found) for found in tmp_path.iterdir()} == expected


@pytest.mark.parametrize("size", [0, 20_000])
def test_a_full_disk_leaves_the_old_model(tmp_path: Path, export: Export, size: int) -> None:
    path = tmp_path / "model.onnx"
    export(path, 1)
    assert path.stat().st_size > size
    with full_disk(size), pytest.raises(ExportError, match=r"cannot be written \(File too large\)"):
        export(path, 2)
    assert [version_of(found) for found in tmp_path.iterdir()] == [1]
    assert export(path, 2).path == path
    assert version_of(path) == 2


def export_without_end(checkpoint: Path, traced: Path, path: Path) -> None:
    export, version = exporter(load_trained(checkpoint), traced), 0
    while True:
        version += 1
        export(path, version)


def prove_kills(checkpoint: Path, traced: Path, path: Path, kills: int) -> int:
    """Kill a process that exports one version after another, again and again; return the kills inside a writing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    draw, inside = random.Random(3), 0
    for _ in range(kills):
        path.unlink(missing_ok=True)
        process = context.Process(target=export_without_end, args=(checkpoint, traced, path), daemon=True)
        process.start()
        while process.is_alive() and not path.exists():
            time.sleep(0.001)
        process.join(0.3 * draw.random())
        assert process.exitcode is None
        process.kill()
        process.join(60)
        assert version_of(path) >= 1
        left = list(path.parent.glob(".*.partial*"))
        inside += bool(left)
        for partial in left:
            partial.unlink()
    return inside


@pytest.mark.kill
@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_a_kill_leaves_a_whole_model(
    tmp_path: Path, report: ExportReport, regressor_checkpoint: Path, kills: int
) -> None:
    inside = prove_kills(regressor_checkpoint, report.path, tmp_path / "model.onnx", kills)
    # Most of the time goes into writing, flushing and opening what was written.
    assert inside >= kills // 10
