"""The doctor must see what is missing, and say by its exit code whether a training can run."""

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from lib import doctor
from lib.cli import environment_facts
from lib.cli.environment_facts import Accelerator, choice_facts, disk_facts, machine_facts, store_facts, version_facts
from lib.training.platform import Platform

LAPTOP = Platform("cpu", "x86_64", (), 8, 16 * 2**30, None)
NODE = Platform("h200", "x86_64", ("NVIDIA H200",), 16, 128 * 2**30, None)
PROCESSOR = Accelerator("cpu", "torch sees no GPU")


def test_a_working_environment_ends_with_code_0_and_says_what_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert doctor.main(["--no_probe"]) == 0
    text = capsys.readouterr().out
    for expected in ("python", "torch", "training.compile", "because", "data.num_workers", "mlruns.db", "GiB free"):
        assert expected in text
    assert text.endswith("nothing that is needed is missing\n")


def test_a_missing_package_ends_with_code_2_and_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(name: str) -> str:
        if name == "uproot":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(environment_facts, "version", absent)
    assert doctor.main(["--json", "--no_probe"]) == 2
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [missing] = [fact for fact in facts if fact["state"] == "missing"]
    assert (missing["name"], missing["advice"]) == ("uproot", "pip install -c constraints.txt uproot")


def test_required_packages_are_those_of_the_project() -> None:
    names = {fact.name for fact in version_facts()}
    assert {"python", "torch", "mlflow", "pyyaml"} <= names
    assert "pytest" not in names


def test_a_card_that_torch_does_not_see_is_told() -> None:
    [gpu] = [fact for fact in machine_facts(NODE, PROCESSOR) if fact.name == "gpu"]
    assert gpu.state == "note"
    assert "CUDA_VISIBLE_DEVICES" in gpu.advice


def test_a_torch_that_cannot_be_imported_is_missing() -> None:
    facts = list(machine_facts(LAPTOP, Accelerator("cpu", "unknown", "libc too old")))
    assert [fact.value for fact in facts if fact.state == "missing"] == ["cannot be imported: libc too old"]


def test_no_c_compiler_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment_facts.shutil, "which", lambda _: None)
    [compiler] = [fact for fact in machine_facts(LAPTOP, PROCESSOR) if fact.name == "C compiler"]
    assert compiler.state == "note"


def test_a_folder_that_is_missing_or_a_disk_that_is_full_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert next(disk_facts(tmp_path / "none")).state == "missing"
    monkeypatch.setattr(environment_facts, "LOW_DISK_BYTES", 10**18)
    assert next(disk_facts(tmp_path)).state == "note"


@pytest.mark.parametrize("uri", ["sqlite:////no/such/folder/mlruns.db", "http://127.0.0.1:9"])
def test_a_store_that_cannot_be_reached_is_a_note(uri: str) -> None:
    [fact] = store_facts(uri)
    assert fact.state == "note"
    assert "MLFLOW_TRACKING_URI" in fact.advice


def test_choices_come_with_reasons() -> None:
    values = {fact.name: fact.value for fact in choice_facts(LAPTOP, PROCESSOR, probe=True)}
    assert values["training.compile"].startswith("none, because:")
    assert values["data.num_workers"] == "0"
    values = {fact.name: fact.value for fact in choice_facts(NODE, Accelerator("cuda", "H200"), probe=False)}
    assert values["training.compile"] == "reduce-overhead, because: chosen for h200, not probed"
    assert values["data.num_workers"] == "at most 4, not probed"


def test_the_help_imports_nothing_slow() -> None:
    code = "import lib.doctor, sys; print(sorted({'torch', 'pydantic', 'numpy', 'mlflow'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
