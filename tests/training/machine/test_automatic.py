"""Choices that the configuration leaves to the machine."""

import logging

import pytest

from lib.training.config import CompileMode, TrainingConfig
from lib.training.machine.automatic import choose_compile_mode, choose_num_workers
from lib.training.machine.probes import Answer
from lib.training.platform import Platform

H200 = Platform("h200", "x86_64", ("NVIDIA H200",), 16, 2**37, None)
GH200 = Platform("gh200", "aarch64", ("NVIDIA GH200 480GB",), 72, 2**39, None)
CPU = Platform("cpu", "x86_64", (), 2, 2**34, None)


class Compiler:
    """Works in some modes, and notes what it was asked."""

    def __init__(self, *working: str) -> None:
        self.working = working
        self.asked: list[tuple[str, str]] = []

    def __call__(self, device: str, mode: CompileMode) -> Answer:
        self.asked.append((device, mode))
        return Answer(True) if mode in self.working else Answer(False, "Cannot find a working triton installation")


def test_a_gpu_replays_graphs_and_a_cpu_compiles_nothing() -> None:
    compiler = Compiler("reduce-overhead")
    assert choose_compile_mode(TrainingConfig(), H200, "cuda", compiler).mode == "reduce-overhead"
    assert compiler.asked == [("cuda", "reduce-overhead")]
    choice = choose_compile_mode(TrainingConfig(), CPU, "cpu", compiler)
    assert (choice.mode, choice.reason) == ("none", "compiling for a CPU takes minutes and brings nothing")
    assert len(compiler.asked) == 1


@pytest.mark.parametrize("setting", ["none", False])
def test_who_wants_no_compilation_is_not_made_to_wait_for_a_probe(setting: str | bool) -> None:
    compiler = Compiler()
    assert choose_compile_mode(TrainingConfig(compile=setting), H200, "cuda", compiler).mode == "none"
    assert compiler.asked == []


def test_the_highest_mode_that_works_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    choice = choose_compile_mode(TrainingConfig(compile="max-autotune"), H200, "cuda", Compiler("default"))
    assert choice.mode == "default"
    assert choice.reason == "reduce-overhead does not work here: Cannot find a working triton installation"
    assert "max-autotune does not work here" in caplog.text


def test_without_a_probe_the_configured_mode_is_trusted() -> None:
    compiler = Compiler()
    config = TrainingConfig(compile="max-autotune", compile_probe=False)
    assert choose_compile_mode(config, GH200, "cuda", compiler).mode == "max-autotune"
    assert compiler.asked == []


@pytest.mark.parametrize(("machine", "said"), [(GH200, True), (H200, False)])
def test_an_arm_node_without_a_compiler_says_so(
    machine: Platform, said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    config = TrainingConfig(compile="reduce-overhead")
    assert choose_compile_mode(config, machine, "cuda", Compiler()).mode == "none"
    assert ("[INFO] ARM architecture detected - disabling torch.compile" in caplog.text) == said


def test_an_arm_node_with_a_compiler_uses_it() -> None:
    assert choose_compile_mode(TrainingConfig(), GH200, "cuda", Compiler("reduce-overhead")).mode == "reduce-overhead"


@pytest.mark.parametrize(
    ("machine", "answer", "workers", "reason"),
    [
        (H200, Answer(True), 4, "16 cores, and two spawned processes worked"),
        (GH200, Answer(False, "it did not end within 30 s"), 0, "two spawned processes failed: it did not end"),
        (CPU, Answer(True), 0, "on a CPU they would take cores from the model"),
        (Platform("gpu", "x86_64", ("T4",), 2, 2**34, None), Answer(True), 0, "2 cores are too few"),
    ],
)
def test_loader_processes_are_chosen_with_a_reason(
    machine: Platform, answer: Answer, workers: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert choose_num_workers(machine, lambda: answer) == workers
    assert reason in caplog.text
