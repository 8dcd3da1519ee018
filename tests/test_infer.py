"""Predictions of files must be those of the model, event by event, or there must be one clear message and no file."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import awkward as ak
import numpy as np
import onnx
import pytest
import uproot
from onnx import TensorProto, helper

from lib.cli.entry import run_command
from lib.data.trees.source import RawChunk
from lib.export import inference
from lib.export.metadata import ModelMetadata, OutputDescription
from lib.export.session import ExportedModel
from lib.infer import main
from tests.data.file_servers import HttpServer, http_server, xrootd_server

RUN_COUNTS = {"b.root": (8, 30), "a.root": (5, 17)}


def save_model(
    path: Path, *, npho_branch: str = "npho", tree: str = "tree", branches: dict[str, str] | None = None
) -> Path:
    """Write a model whose predictions are closed forms: the first photon count, and three times in nanoseconds."""
    energy, position = ("energy", ("energy",), "GeV", "energyTruth"), ("uvwFI", ("u", "v", "w"), "cm", "uvwTruth")
    metadata = ModelMetadata(
        kind="regressor",
        inputs=("npho", "time"),
        outputs=(OutputDescription(*energy), OutputDescription(*position)),
        tree_name=tree,
        npho_branch=npho_branch,
        time_branch="time",
        normalization={},
        normalization_fingerprint="",
        config_sha256="",
        revision="unknown",
        metrics={},
        branches=branches or {},
    )
    constants = [
        helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
        helper.make_tensor("first", TensorProto.INT64, [3], [0, 1, 2]),
        helper.make_tensor("per_second", TensorProto.FLOAT, [1], [1e9]),
    ]
    nodes = [
        helper.make_node("Gather", ["npho", "zero"], ["energy"], axis=1),
        helper.make_node("Gather", ["time", "first"], ["seconds"], axis=1),
        helper.make_node("Mul", ["seconds", "per_second"], ["uvwFI"]),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4760]) for name in ("npho", "time")]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
        for name, width in (("energy", 1), ("uvwFI", 3))
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "closed forms", inputs, outputs, constants),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    helper.set_model_props(model, metadata.to_properties())
    onnx.save(model, path)
    return path


def make_events(run: int, count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(run)
    npho = rng.exponential(100.0, (count, 4760)).astype(np.float32)
    time = rng.normal(0.0, 1e-8, (count, 4760)).astype(np.float32)
    return {
        "npho": npho,
        "time": time,
        "energyTruth": npho[:, 0] / np.float32(1.02),  # predicted 2 % too high
        "uvwTruth": (time[:, :3] * np.float32(1e9)).astype(np.float32),
        "run": np.full(count, run),
        "event": np.arange(100, 100 + count),
    }


def write_root(path: Path, branches: dict[str, np.ndarray], *, tree: str = "tree") -> Path:
    with uproot.recreate(path, compression=None) as file:
        file.mktree(tree, {name: (values.dtype, values.shape[1:]) for name, values in branches.items()})
        file[tree].extend(branches)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, (run, count) in RUN_COUNTS.items():
        write_root(folder / name, make_events(run, count))
    return folder


def arguments(model: Path, data: Path | str, output: Path, *more: str) -> Sequence[str]:
    return ["--model", str(model), "--input", str(data), "--output", str(output), *more]


def refused(command: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must end with exit code 2, and return its one message."""
    assert run_command(main, command) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    return captured.err


@pytest.mark.parametrize("batch_size", ["1", "7", "1000"])
def test_every_event_is_predicted_once_in_the_order_of_the_files(
    model: Path, data: Path, tmp_path: Path, batch_size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "p.root"
    assert run_command(main, arguments(model, f"{data}/*.root", output, "--batch_size", batch_size)) == 0
    assert capsys.readouterr().out == f"{output}: 47 events\n"
    with uproot.open(output) as file:
        predicted = file["tree"].arrays(library="np")
    parts = [make_events(*RUN_COUNTS[name]) for name in ("a.root", "b.root")]
    expected = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    np.testing.assert_array_equal(predicted["run"], expected["run"])
    np.testing.assert_array_equal(predicted["event"], expected["event"])
    np.testing.assert_array_equal(predicted["pred_energy"], expected["npho"][:, 0])
    np.testing.assert_array_equal(predicted["pred_uvwFI"], expected["uvwTruth"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.root"]


def test_several_inputs_and_threads_are_accepted(model: Path, data: Path, tmp_path: Path) -> None:
    files = [str(data / "b.root"), str(data / "a.root")]
    command = ["--model", str(model), "--output", str(tmp_path / "p.root"), "--num_threads", "1", "--input", *files]
    assert run_command(main, command) == 0
    with uproot.open(tmp_path / "p.root") as file:
        assert file["tree"].num_entries == 47


def test_the_truth_is_compared_on_request(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(main, arguments(model, data, tmp_path / "p.root", "--compare_truth")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["quantity", "core", "sigma", "68", "%", "bias", "events"]
    assert [line.split()[0] for line in lines[2:]] == ["energy", "u", "v", "w", "distance"]
    energy, depth = lines[2].split(), lines[5].split()
    assert (energy[1], energy[5], energy[8], energy[-1]) == ("(%)", "2", "2", "47")
    assert (depth[1], depth[5], depth[8], depth[-1]) == ("(mm)", "0", "0", "47")


def test_real_data_without_truth_and_numbers_are_predicted(model: Path, tmp_path: Path) -> None:
    events = make_events(3, 4)
    write_root(tmp_path / "real.root", {"npho": events["npho"], "time": events["time"]})
    assert run_command(main, arguments(model, tmp_path / "real.root", tmp_path / "p.root")) == 0
    with uproot.open(tmp_path / "p.root") as file:
        np.testing.assert_array_equal(file["tree/event"].array(library="np"), [0, 1, 2, 3])


def test_branches_and_tree_are_those_of_the_model(tmp_path: Path) -> None:
    model = save_model(tmp_path / "m.onnx", npho_branch="relative_npho", tree="rec")
    events = make_events(3, 4)
    branches = {"npho": events["npho"], "relative_npho": events["npho"] + 1, "time": events["time"]}
    write_root(tmp_path / "real.root", branches, tree="rec")
    assert run_command(main, arguments(model, tmp_path / "real.root", tmp_path / "p.root")) == 0
    with uproot.open(tmp_path / "p.root") as file:
        np.testing.assert_array_equal(file["tree/pred_energy"].array(library="np"), events["npho"][:, 0] + 1)


def test_names_in_the_files_are_those_of_the_training_unless_others_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Of the names of the training, those are needed that are read.
    model = save_model(tmp_path / "m.onnx", branches={"npho": "light", "run": "number", "energyTruth": "E"})
    events = make_events(3, 4)
    named = {"light": events["npho"], "time": events["time"], "number": events["run"], "event": events["event"]}
    write_root(tmp_path / "a.root", named)
    write_root(tmp_path / "b.root", {**{n: v for n, v in named.items() if n != "light"}, "npho": events["npho"]})
    assert run_command(main, arguments(model, tmp_path / "a.root", tmp_path / "p.root")) == 0
    others = ("--branch", "npho=npho")
    assert run_command(main, arguments(model, tmp_path / "b.root", tmp_path / "q.root", *others)) == 0
    for name in ("p.root", "q.root"):
        with uproot.open(tmp_path / name) as file:
            predicted = file["tree"].arrays(library="np")
        np.testing.assert_array_equal(predicted["pred_energy"], events["npho"][:, 0])
        np.testing.assert_array_equal(predicted["run"], events["run"])
    capsys.readouterr()
    message = refused(arguments(model, tmp_path / "b.root", tmp_path / "r.root"), capsys)
    assert "no branch 'light', which is to serve as 'npho'" in message
    assert "Set --branch." in message
    message = refused(arguments(model, tmp_path / "b.root", tmp_path / "r.root", "--branch", "nphoo=x"), capsys)
    assert "this model reads no 'nphoo'; nearest: npho" in message
    with pytest.raises(SystemExit):
        main(arguments(model, tmp_path / "b.root", tmp_path / "r.root", "--branch", "npho"))
    assert "expected NAME=NAME_IN_FILE, got 'npho'" in capsys.readouterr().err


@pytest.mark.parametrize("serve", [http_server, pytest.param(xrootd_server, marks=pytest.mark.server)])
def test_files_on_servers_are_predicted_like_those_on_disks(
    model: Path, data: Path, tmp_path: Path, serve: Callable[[Path], AbstractContextManager[HttpServer]]
) -> None:
    assert run_command(main, arguments(model, data, tmp_path / "p.root")) == 0
    with serve(data) as server:
        urls = [f"{server.url}/a.root", f"{server.url}/b.root"]
        command = ["--model", str(model), "--output", str(tmp_path / "q.root"), "--input", *urls]
        assert run_command(main, command) == 0
    with uproot.open(tmp_path / "p.root") as local, uproot.open(tmp_path / "q.root") as remote:
        expected, predicted = (file["tree"].arrays(library="np") for file in (local, remote))
    for name, values in expected.items():
        np.testing.assert_array_equal(predicted[name], values)


def test_the_predictions_name_their_model(model: Path, data: Path, tmp_path: Path) -> None:
    assert run_command(main, arguments(model, data, tmp_path / "p.root")) == 0
    with uproot.open(tmp_path / "p.root") as file:
        assert json.loads(str(file["model"]))["kind"] == "regressor"


def _no_model(folder: Path) -> Sequence[str]:
    return arguments(folder / "missing.onnx", folder / "a.root", folder / "p.root")


def _not_a_model(folder: Path) -> Sequence[str]:
    (folder / "m.onnx").write_bytes(b"root, not ONNX")
    return arguments(folder / "m.onnx", folder / "a.root", folder / "p.root")


def _no_input(folder: Path) -> Sequence[str]:
    return arguments(save_model(folder / "m.onnx"), folder / "missing.root", folder / "p.root")


def _not_root(folder: Path) -> Sequence[str]:
    (folder / "x.root").write_bytes(b"PK..")
    return arguments(save_model(folder / "m.onnx"), folder / "x.root", folder / "p.root")


def _wrong_width(folder: Path) -> Sequence[str]:
    events = make_events(1, 2)
    write_root(folder / "x.root", {"npho": events["npho"][:, :4759], "time": events["time"]})
    return arguments(save_model(folder / "m.onnx"), folder / "x.root", folder / "p.root")


def _no_branch(folder: Path) -> Sequence[str]:
    return arguments(save_model(folder / "m.onnx", npho_branch="relative_npho"), folder / "a.root", folder / "p.root")


def _no_truth(folder: Path) -> Sequence[str]:
    events = make_events(1, 2)
    write_root(folder / "x.root", {"npho": events["npho"], "time": events["time"]})
    return arguments(save_model(folder / "m.onnx"), folder / "x.root", folder / "p.root", "--compare_truth")


def _output_is_input(folder: Path) -> Sequence[str]:
    return arguments(save_model(folder / "m.onnx"), folder / "*.root", folder / "a.root")


def _output_below_a_file(folder: Path) -> Sequence[str]:
    return arguments(save_model(folder / "m.onnx"), folder / "a.root", folder / "m.onnx" / "p.root")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (_no_model, r"missing.onnx: no such model"),
        (_not_a_model, r"m.onnx: cannot be read as an ONNX model"),
        (_no_input, r"missing.root: no such file. Nearest in"),
        (_not_root, r"x.root: not a ROOT file"),
        (_wrong_width, r"expected 4760 values per event, got 4759"),
        (_no_branch, r"m.onnx was trained on the branches 'relative_npho' and 'time' of tree 'tree'"),
        (_no_truth, r"has no branch 'energyTruth'; nearest:"),
        (_output_is_input, r"a.root: is one of the input files and would be replaced. Choose another --output"),
        (_output_below_a_file, r"p.root: cannot be written"),
    ],
)
def test_a_mistake_gives_one_message_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], prepare: Callable[[Path], Sequence[str]], message: str
) -> None:
    write_root(tmp_path / "a.root", make_events(5, 3))
    command = prepare(tmp_path)
    before = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert message in refused(command, capsys)
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == before


def test_damage_in_the_middle_of_the_input_leaves_no_file(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.root"
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as file:
        events = make_events(5, 4)
        file.mktree("tree", {name: (values.dtype, values.shape[1:]) for name, values in events.items()})
        for _ in range(3):
            file["tree"].extend(events)
    with uproot.open(path) as file:
        place = file["tree/npho"].member("fBasketSeek")[2]
    content = bytearray(path.read_bytes())
    content[place + 200 : place + 400] = bytes(200)
    path.write_bytes(content)
    assert "branch 'npho'" in refused(arguments(model, path, tmp_path / "p.root"), capsys)
    assert not (tmp_path / "p.root").exists()


@pytest.mark.parametrize("value", ["0", "-3", "many"])
def test_impossible_numbers_are_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments(Path("m.onnx"), "a.root", Path("p.root"), "--batch_size", value))
    assert "--batch_size" in capsys.readouterr().err


def test_chosen_tasks_alone_are_written_and_branches_carried_over(model: Path, data: Path, tmp_path: Path) -> None:
    words = ["--tasks", "energy", "--keep", "uvwTruth", "energyTruth"]
    assert run_command(main, arguments(model, data / "a.root", tmp_path / "p.root", *words)) == 0
    with uproot.open(tmp_path / "p.root") as file:
        assert set(file["tree"].keys()) == {"run", "event", "pred_energy", "uvwTruth", "energyTruth"}
        expected = make_events(*RUN_COUNTS["a.root"])
        for name in ("uvwTruth", "energyTruth"):
            np.testing.assert_array_equal(file["tree"][name].array(library="np"), expected[name])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tasks", "enrgy"], "has no such output; nearest: energy"),
        (["--keep", "uvwTruht"], "has no such branch; nearest: uvwTruth"),
        (["--keep", "run"], "the output has a branch of that name already"),
        (["--recover_dead"], "restores nothing. Export the regressor with --inpainter"),
    ],
)
def test_what_cannot_be_chosen_is_refused(
    model: Path, data: Path, tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(arguments(model, data, tmp_path / "p.root", *words), capsys)
    assert list(tmp_path.iterdir()) == []


def test_branches_of_changing_length_are_not_carried_over(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file["tree"] = {**make_events(5, 3), "hits": ak.Array([[1], [1, 2], []])}
    command = arguments(model, tmp_path / "a.root", tmp_path / "p.root", "--keep", "hits")
    assert "--keep hits: only numbers of fixed length can be carried over" in refused(command, capsys)


KILLED = """
import os, signal, sys
from lib.export import inference, inference_parts
inference.CHUNK_EVENTS = 4
save, left = inference_parts.PartFolder.save, int(sys.argv.pop(1))
def save_and_die(self, number, columns):
    global left
    save(self, number, columns)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
inference_parts.PartFolder.save = save_and_die
from lib.infer import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("kills", [[1], [3, 2, 1]])
def test_a_killed_run_goes_on_and_gives_the_same_file(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: list[int]
) -> None:
    words = ["--compare_truth", "--keep", "uvwTruth"]
    command = arguments(model, data, tmp_path / "p.root", *words)
    for parts_before in kills:
        run = [sys.executable, "-c", KILLED, str(parts_before), *command]
        assert subprocess.run(run, capture_output=True, check=False).returncode == -signal.SIGKILL
        assert not (tmp_path / "p.root").exists()
    monkeypatch.setattr(inference, "CHUNK_EVENTS", 4)
    computed: list[int] = []
    predict = inference.predict

    def counted(model: ExportedModel, chunk: RawChunk, batch_size: int, **more: None) -> dict[str, np.ndarray]:
        computed.append(len(chunk))
        return predict(model, chunk, batch_size, **more)

    monkeypatch.setattr(inference, "predict", counted)
    assert run_command(main, command) == 0
    # Nothing twice: 47 events of 17 and 30 make parts of 4, whose kept ones are not computed again.
    assert len(computed) == 5 + 8 - sum(kills)
    monkeypatch.setattr(inference, "CHUNK_EVENTS", 1024)
    assert run_command(main, arguments(model, data, tmp_path / "whole.root", *words)) == 0
    with uproot.open(tmp_path / "p.root") as one, uproot.open(tmp_path / "whole.root") as other:
        for name, values in one["tree"].arrays(library="np").items():
            np.testing.assert_array_equal(values, other["tree"][name].array(library="np"))
    assert {entry.name for entry in tmp_path.iterdir()} == {"p.root", "whole.root"}


KILLED_AT_RANDOM = """
import os, random, signal, sys, time
from lib.export import inference
from lib.infer import main
from pathlib import Path
inference.CHUNK_EVENTS = 4
kills, output, words = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]

def start():
    child = os.fork()  # no other thread runs here, and the libraries are there already
    if child == 0:
        os._exit(main(words))
    return child

def keep(status):
    assert status == 0
    finished.append(output.rename(output.with_name(f"whole_{len(finished)}.root")))

finished, draw, killed = [], random.Random(5), 0
began = time.monotonic()
keep(os.waitpid(start(), 0)[1])
duration = time.monotonic() - began
while killed < kills:
    child = start()
    time.sleep(draw.uniform(0.0, duration))
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        killed += 1
    else:
        keep(status)
keep(os.waitpid(start(), 0)[1])
sys.stderr.write(f"killed {killed} times, finished {len(finished)} times")
"""


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.kill])])
def test_kills_at_any_instant_change_nothing(model: Path, data: Path, tmp_path: Path, kills: int) -> None:
    output = tmp_path / "p.root"
    words = arguments(model, data, output, "--compare_truth", "--keep", "uvwTruth", "--num_threads", "1")
    run = [sys.executable, "-c", KILLED_AT_RANDOM, str(kills), str(output), *words]
    result = subprocess.run(run, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert f"killed {kills} times" in result.stderr
    whole = sorted(tmp_path.iterdir())
    # Nothing else: neither parts nor what a killed process had begun to join.
    assert [path.name for path in whole] == sorted(f"whole_{index}.root" for index in range(len(whole)))
    assert len(whole) >= 2
    with uproot.open(whole[0]) as file:
        expected = file["tree"].arrays(library="np")
    assert len(expected["run"]) == 47
    for path in whole[1:]:
        with uproot.open(path) as file:
            written = file["tree"].arrays(library="np")
        assert list(written) == list(expected)
        for name, values in written.items():
            np.testing.assert_array_equal(values, expected[name])


# The peak that getrusage tells is inherited from the process that started this one.
PEAK = """
import sys
from pathlib import Path
from lib.infer import main
assert main(sys.argv[1:]) == 0
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
sys.stderr.write(f"peak {status['VmHWM'].split()[0]}")
"""


def peak_kib(command: Sequence[str]) -> int:
    """Run the inference in a process of its own, and return the most memory that it had."""
    result = subprocess.run([sys.executable, "-c", PEAK, *command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return int(result.stderr.rpartition("peak ")[2])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_events(model: Path, tmp_path: Path) -> None:
    # Files that compress to nothing: what is read counts, not where it comes from.
    events = {"npho": np.ones((10_000, 4760), np.float32), "time": np.zeros((10_000, 4760), np.float32)}
    first = tmp_path / "in" / "00.root"
    first.parent.mkdir()
    with uproot.recreate(first, compression=uproot.ZSTD(1)) as file:
        file.mktree("tree", {name: (values.dtype, values.shape[1:]) for name, values in events.items()})
        for start in range(0, 10_000, 500):
            file["tree"].extend({name: values[start : start + 500] for name, values in events.items()})
    del events
    for index in range(1, 100):
        (first.parent / f"{index:02d}.root").hardlink_to(first)
    peaks = []
    # The allocator takes some ten parts until it has enough: 10 000 events stay below the level.
    for source, count in ((f"{first.parent}/0*.root", 100_000), (first.parent, 1_000_000)):
        output = tmp_path / f"{count}.root"
        peaks.append(peak_kib(arguments(model, source, output, "--num_threads", "1", "--batch_size", "256")))
        with uproot.open(output) as file:
            assert file["tree"].num_entries == count
    # Ten times the events; the list of parts and the baskets' places grow by some hundred bytes each.
    assert peaks[1] < 1.05 * peaks[0], peaks


def test_parts_of_other_inputs_are_not_taken(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_root(tmp_path / "a.root", make_events(5, 9))
    command = arguments(model, tmp_path / "a.root", tmp_path / "p.root")
    run = [sys.executable, "-c", KILLED, "1", *command]
    assert subprocess.run(run, capture_output=True, check=False).returncode == -signal.SIGKILL
    write_root(tmp_path / "a.root", make_events(6, 9))
    assert run_command(main, command) == 0
    assert "it begins anew" in caplog.text
    with uproot.open(tmp_path / "p.root") as file:
        np.testing.assert_array_equal(file["tree/pred_energy"].array(library="np"), make_events(6, 9)["npho"][:, 0])


def test_help_waits_for_no_library() -> None:
    program = (
        "import sys; from lib.infer import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "slow = {'torch', 'onnxruntime', 'uproot', 'numpy', 'pydantic', 'rich'} & set(sys.modules)\n"
        "sys.exit(', '.join(slow) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "--compare_truth" in result.stdout


def test_inference_needs_no_torch() -> None:
    program = "import sys, lib.export.inference; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
