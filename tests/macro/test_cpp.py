"""The C++ library must say what Python says, whatever the batch and the threads, and refuse in words."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from lib.errors import ExportError
from lib.export.cpp_program import build_program, run_program, write_readings
from lib.export.metadata import ModelMetadata, OutputDescription
from lib.export.odd_events import generate_readings
from lib.export.session import ExportedModel

CPP = Path(__file__).parents[2] / "macro" / "cpp"
LIBRARY = CPP / "xec_model.cpp"
HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


def save_model(path: Path, *, dead: bool = False, properties: Mapping[str, str] | None = None) -> Path:
    """Write a model of closed forms: one photon count, or its opposite where it is dead; and three times in ns."""
    inputs = ("npho", "time", "dead") if dead else ("npho", "time")
    outputs = (
        OutputDescription("energy", ("energy",), "GeV", "energyTruth"),
        OutputDescription("uvwFI", ("u", "v", "w"), "cm", "uvwTruth"),
    )
    metadata = ModelMetadata("regressor", inputs, outputs, "tree", "npho", "time", {}, "", "", "rev", {})
    constants = [
        helper.make_tensor("seventh", TensorProto.INT64, [1], [7]),
        helper.make_tensor("last", TensorProto.INT64, [3], [4757, 4758, 4759]),
        helper.make_tensor("per_second", TensorProto.FLOAT, [1], [1e9]),
    ]
    chosen = "live" if dead else "npho"
    nodes = [
        helper.make_node("Gather", [chosen, "seventh"], ["energy"], axis=1),
        helper.make_node("Gather", ["time", "last"], ["seconds"], axis=1),
        helper.make_node("Mul", ["seconds", "per_second"], ["uvwFI"]),
    ]
    if dead:
        flipped = [helper.make_node("Neg", ["npho"], ["opposite"])]
        nodes = [*flipped, helper.make_node("Where", ["dead", "opposite", "npho"], ["live"]), *nodes]
    types = {"npho": TensorProto.FLOAT, "time": TensorProto.FLOAT, "dead": TensorProto.BOOL}
    graph = helper.make_graph(
        nodes,
        "closed forms",
        [helper.make_tensor_value_info(name, types[name], ["batch", 4760]) for name in inputs],
        [helper.make_tensor_value_info(one.name, TensorProto.FLOAT, ["batch", len(one.labels)]) for one in outputs],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, dict(metadata.to_properties()) if properties is None else dict(properties))
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def program() -> Path:
    return build_program([CPP / "xec_predict.cpp", LIBRARY])


@pytest.mark.parametrize("options", [("--batch", "1"), ("--batch", "3"), ("--batch", "64", "--threads", "2")])
@pytest.mark.parametrize("dead", [False, True])
def test_numbers_are_those_of_python_in_any_batch(
    program: Path, tmp_path: Path, options: tuple[str, ...], dead: bool
) -> None:
    path = save_model(tmp_path / "model.onnx", dead=dead)
    exported = ExportedModel.open(path, num_threads=1)
    readings = generate_readings(67, np.random.default_rng(2), exported.metadata.inputs)
    run = run_program(program, path, write_readings(tmp_path / "events.bin", **readings), *options)
    # Nine digits hold every float32, so nothing may differ; this model rounds nothing.
    np.testing.assert_array_equal(run.answers, np.concatenate(list(exported.run(**readings).values()), axis=1))
    assert run.events_per_s > 0


def test_threads_share_one_model(program: Path, tmp_path: Path) -> None:
    path = save_model(tmp_path / "model.onnx")
    readings = generate_readings(101, np.random.default_rng(3), ("npho", "time"))
    events = write_readings(tmp_path / "events.bin", **readings)
    alone = run_program(program, path, events, "--batch", "2")
    together = run_program(program, path, events, "--batch", "2", "--workers", "7", "--repeat", "20")
    np.testing.assert_array_equal(together.answers, alone.answers)


def test_names_and_units_head_the_columns(program: Path, tmp_path: Path) -> None:
    path = save_model(tmp_path / "model.onnx")
    readings = generate_readings(1, np.random.default_rng(3), ("npho", "time"))
    events = write_readings(tmp_path / "events.bin", **readings)
    result = subprocess.run([program, path, events], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[0].split() == ["energy[GeV]", "uvwFI.u[cm]", "uvwFI.v[cm]", "uvwFI.w[cm]"]


def test_the_library_allocates_nothing_once_it_is_warm(tmp_path: Path) -> None:
    counting = build_program([HERE / "counted_runs.cpp", LIBRARY])
    result = subprocess.run([counting, save_model(tmp_path / "model.onnx")], capture_output=True, text=True, check=True)
    first, later, total = result.stdout.split()
    assert int(first) > 0  # else nothing was counted at all
    assert int(later) == 0
    assert float(total) == pytest.approx(3 * sum(range(100)) + 300 * 1e19, rel=1e-6)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (0, "a run of 0 events in a batch for 1 to 2"),
        (1, "a run of 3 events in a batch for 1 to 2"),
        (2, "the batch was made for another model"),
        (3, "event 2 of a batch for 2 events"),
        (4, "does not ask which sensors are dead"),
        (5, "has no output 'enrgy'; it has: energy, uvwFI"),
        (6, "component 3 of output 'uvwFI', which has 3"),
        (7, "output 2 of 2"),
        (8, "a batch for 0 events"),
        (9, "num_threads is -1, expected 0 or more"),
        (10, "has no property 'xec_colour'"),
    ],
)
def test_wrong_use_is_an_exception_with_text(tmp_path: Path, number: int, message: str) -> None:
    refusing = build_program([HERE / "refused.cpp", LIBRARY])
    words = [refusing, save_model(tmp_path / "model.onnx"), str(number)]
    assert message in subprocess.run(words, capture_output=True, text=True, check=True).stdout


def changed(path: Path, **properties: str) -> Path:
    """Write a model with some properties replaced."""
    model = onnx.load(save_model(path))
    values = {entry.key: entry.value for entry in model.metadata_props} | properties
    return save_model(path, properties=values)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"xec_format": "7"}, "metadata of format 7, expected 3"),
        ({"xec_num_sensors": "4092"}, "made for 4092 sensors in the order 'sensor_id'"),
        ({"xec_sensor_order": "row"}, "in the order 'row', expected 4760 by 'sensor_id'"),
        ({"xec_input_table": "npho\tphotons\ntime\tns"}, "its inputs are not npho in photons and time in s"),
        ({"xec_output_table": "energy\tvalue\tGeV\tenergy"}, "its outputs are not those that its metadata describe"),
    ],
)
def test_a_file_that_means_something_else_is_refused(
    program: Path, tmp_path: Path, properties: dict[str, str], message: str
) -> None:
    path = changed(tmp_path / "model.onnx", **properties)
    with pytest.raises(ExportError, match=message):
        run_program(program, path, tmp_path / "no events")


def test_files_that_cannot_serve_are_refused(program: Path, tmp_path: Path) -> None:
    model, events = save_model(tmp_path / "model.onnx"), tmp_path / "events.bin"
    with pytest.raises(ExportError, match=r"events\.bin: cannot be read"):
        run_program(program, model, events)
    events.write_bytes(bytes(4 * 4760))
    with pytest.raises(ExportError, match=r"19040 bytes, expected a multiple of 38080"):
        run_program(program, model, events)
    with pytest.raises(ExportError, match=r"missing\.onnx: cannot be loaded: .*"):
        run_program(program, tmp_path / "missing.onnx", events)
    (tmp_path / "cut.onnx").write_bytes(model.read_bytes()[:200])
    with pytest.raises(ExportError, match=r"cut\.onnx: "):
        run_program(program, tmp_path / "cut.onnx", events)
    foreign = save_model(tmp_path / "foreign.onnx", properties={})
    with pytest.raises(ExportError, match=r"foreign\.onnx: an ONNX file without this suite's metadata"):
        run_program(program, foreign, events)
    with pytest.raises(ExportError, match=r"unknown option --bach"):
        run_program(program, model, events, "--bach", "3")
    with pytest.raises(ExportError, match=r"--batch 0: expected 1 or more"):
        run_program(program, model, events, "--batch", "0")


def test_a_source_that_does_not_compile_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.cpp").write_text("int main() { return nothing; }", encoding="utf-8")
    with pytest.raises(ExportError, match=r"refuses it:[\s\S]*nothing"):
        build_program([tmp_path / "x.cpp"])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
def test_cmake_builds_it_against_the_wheel(tmp_path: Path) -> None:
    wheel = Path(onnxruntime.__file__).parent / "capi"
    subprocess.run(["cmake", "-S", CPP, "-B", tmp_path, f"-DONNXRUNTIME_ROOT={wheel}"], check=True)
    subprocess.run(["cmake", "--build", tmp_path], check=True)
    model = save_model(tmp_path / "model.onnx")
    readings = generate_readings(3, np.random.default_rng(3), ("npho", "time"))
    run = run_program(tmp_path / "xec_predict", model, write_readings(tmp_path / "events.bin", **readings))
    np.testing.assert_array_equal(run.answers[:, 0], readings["npho"][:, 7])
