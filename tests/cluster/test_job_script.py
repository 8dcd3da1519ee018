import os
import random
import string
import subprocess
from pathlib import Path

import pytest

from lib.cluster.job_script import Job, job_script
from lib.cluster.settings import ClusterSettings
from lib.errors import ConfigError


def write_project(folder: Path) -> Path:
    """Return a folder whose "python" writes its arguments down and ends with the code in EXIT."""
    (folder / "scan_param").mkdir(parents=True)
    python = folder / "python"
    python.write_text('#!/bin/bash\nfor a in "$@"; do printf "%s\\0" "$a"; done > seen\nexit "${EXIT:-0}"\n')
    python.chmod(0o755)
    (folder / "scan_param" / "find_python.sh").write_text("python=./python\n")
    return folder


def run(script: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    path = folder / "job.sh"
    path.write_text(script)
    variables = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", **environment}
    return subprocess.run(["bash", str(path)], capture_output=True, text=True, env=variables, check=False)


def seen(folder: Path) -> list[str]:
    return (folder / "seen").read_bytes().decode().split("\0")[:-1]


HOSTILE = [
    "$(touch canary)", "`touch canary`", "'; touch canary; '", '"; touch canary; "', "a\ntouch canary\n",
    "&& touch canary", "| touch canary", "> canary", "$IFS", "${PATH}", "\\", "é😀", "*", "~",
    "-n", "#", "%j", "a b", "!!", "\t",
]  # fmt: skip


def hostile_texts(count: int) -> list[str]:
    generator = random.Random(1)
    letters = string.punctuation + " \n\tab"
    drawn = ["".join(generator.choices(letters, k=generator.randint(1, 40))) for _ in range(count - len(HOSTILE))]
    return HOSTILE + drawn


def test_two_hundred_hostile_arguments_reach_python_as_they_are(tmp_path):
    folder = write_project(tmp_path / "project")
    texts = hostile_texts(200)
    script = job_script(Job("run", folder, "log_%j", texts), ClusterSettings(gpus=0))
    assert run(script, folder).returncode == 0
    assert seen(folder) == texts
    assert not list(tmp_path.rglob("canary*"))


def test_a_project_in_an_odd_folder_is_found(tmp_path):
    folder = write_project(tmp_path / "my 'project' $(touch canary)")
    assert run(job_script(Job("run", folder, "log", ["-m", "lib"]), ClusterSettings()), folder).returncode == 0
    assert not list(tmp_path.rglob("canary"))


@pytest.mark.parametrize("text", [t for t in hostile_texts(60) if not t.isalnum() and t not in {"%j", "-n"}])
def test_names_that_the_batch_system_would_misread_are_refused(text):
    if set(text) <= set(string.ascii_letters + string.digits + "_./%+=@-"):
        pytest.skip("harmless")
    for job in (Job(text, Path(), "log", []), Job("run", Path(), text, [])):
        with pytest.raises(ConfigError, match="cannot stand in a batch script"):
            job_script(job, ClusterSettings())


def scontrol(folder: Path) -> None:
    (folder / "bin").mkdir()
    command = folder / "bin" / "scontrol"
    command.write_text('#!/bin/bash\necho "$@" > requeued\n')
    command.chmod(0o755)


@pytest.mark.parametrize(("code", "requeues"), [(0, False), (1, False), (2, False), (4, False), (6, False), (75, True)])
def test_only_a_saved_run_goes_back_into_the_queue(tmp_path, code, requeues):
    folder = write_project(tmp_path / "project")
    scontrol(folder)
    script = job_script(Job("run", folder, "log", ["-m", "x"]), ClusterSettings())
    done = run(script, folder, EXIT=str(code), SLURM_JOB_ID="17")
    assert (folder / "requeued").exists() is requeues
    assert done.returncode == (0 if requeues else code)
    if requeues:
        assert (folder / "requeued").read_text() == "requeue 17\n"


def test_outside_the_batch_system_the_code_of_a_saved_run_comes_through(tmp_path):
    folder = write_project(tmp_path / "project")
    done = run(job_script(Job("run", folder, "log", []), ClusterSettings()), folder, EXIT="75", SLURM_JOB_ID="")
    assert done.returncode == 75


def test_a_run_is_not_restarted_for_ever(tmp_path):
    folder = write_project(tmp_path / "project")
    scontrol(folder)
    script = job_script(Job("run", folder, "log", []), ClusterSettings())
    done = run(script, folder, EXIT="75", SLURM_JOB_ID="17", SLURM_RESTART_COUNT="200")
    assert (done.returncode, (folder / "requeued").exists()) == (75, False)


@pytest.mark.parametrize(("saves", "requeues"), [(True, True), (False, False)])
def test_a_run_that_fails_again_and_again_is_restarted_as_long_as_it_saves_something(tmp_path, saves, requeues):
    folder = write_project(tmp_path / "project")
    scontrol(folder)
    if saves:
        text = (folder / "python").read_text().replace("exit ", "touch last.pth\nexit ")
        (folder / "python").write_text(text)
    job = Job("run", folder, "log", [], own_checkpoint=folder / "last.pth")
    done = run(job_script(job, ClusterSettings()), folder, EXIT="75", SLURM_JOB_ID="17", SLURM_RESTART_COUNT="3")
    assert (folder / "requeued").exists() is requeues
    assert done.returncode == (0 if requeues else 75)


def test_a_job_goes_on_from_its_own_checkpoint_once_it_is_there(tmp_path):
    folder = write_project(tmp_path / "project")
    script = job_script(Job("run", folder, "log", ["-m", "x"], own_checkpoint=Path("last.pth")), ClusterSettings())
    run(script, folder)
    assert seen(folder) == ["-m", "x"]
    (folder / "last.pth").touch()
    run(script, folder)
    assert seen(folder) == ["-m", "x", "--resume_from", "auto"]


def test_nodes_that_would_stand_idle_are_refused(tmp_path):
    job = Job("run", tmp_path, "log", [], is_distributed=False)
    with pytest.raises(ConfigError, match="NUM_NODES=2: each task of this job works on one node"):
        job_script(job, ClusterSettings(nodes=2))


def test_array_indices_are_written_as_ranges(tmp_path):
    folder = write_project(tmp_path / "project")
    job = Job("run", folder, "log", ["--point", "{index}"], array=[7, 0, 1, 2, 4], at_a_time=3)
    script = job_script(job, ClusterSettings())
    assert "#SBATCH --array=0-2,4,7%3\n" in script
    run(script, folder, SLURM_ARRAY_TASK_ID="4")
    assert seen(folder) == ["--point", "4"]


def test_several_gpus_are_trained_by_one_process_each(tmp_path):
    one_node = job_script(Job("run", tmp_path, "log", ["-m", "x"]), ClusterSettings(gpus=4))
    assert "-m lib.launch --nproc_per_node=4 --standalone -m x" in one_node
    two_nodes = job_script(Job("run", tmp_path, "log", ["-m", "x"]), ClusterSettings(gpus=4, nodes=2))
    assert "srun" in two_nodes
    assert "--nnodes=2" in two_nodes
    assert "lib.launch" not in job_script(Job("run", tmp_path, "log", []), ClusterSettings(gpus=1))
