"""Whether two runs of one seed, however often they were interrupted, are the same bit for bit."""

from pathlib import Path
from typing import Any

import torch

from lib.training.epoch_sums import CLOCK_METRICS
from lib.training.records.journal import JOURNAL_NAME, Journal
from lib.training.records.mlflow_store import MlflowStore
from lib.training.saving.checkpoint import BEST_NAME, LAST_NAME, Checkpoint
from tests.cli.killed_run import losses_of

FILES = 5


def bits(value: Any) -> Any:
    """Anything that a checkpoint holds, with tensors as their bytes."""
    if isinstance(value, torch.Tensor):
        return value.shape, value.numpy().tobytes()
    if isinstance(value, dict):
        return {name: bits(entry) for name, entry in value.items() if name not in {"seconds", "waiting"}}
    return [bits(entry) for entry in value] if isinstance(value, list) else value


def state_of(path: Path) -> dict[str, Any]:
    checkpoint = vars(Checkpoint.load(path))
    metrics = {name: value for name, value in checkpoint["metrics"].items() if name not in CLOCK_METRICS}
    left_out = {"run_key", "config", "about", "metrics"}
    return {"metrics": metrics} | {name: bits(value) for name, value in checkpoint.items() if name not in left_out}


def told(folder: Path) -> list[tuple[int, dict[str, str]]]:
    return [
        (record.step, {name: v.hex() for name, v in record.metrics.items() if name not in CLOCK_METRICS})
        for record in Journal(folder).read()
    ]


def assert_store_equals_journal(folder: Path, name: str) -> None:
    store = MlflowStore(f"sqlite:///{folder / 'mlruns.db'}", "xec")
    client = store.client
    experiment = client.get_experiment_by_name("xec")
    (run,) = client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'")
    in_store = sorted(
        (metric, point.step, point.value)
        for metric in run.data.metrics
        for point in client.get_metric_history(run.info.run_id, metric)
    )
    in_journal = sorted(
        (metric, record.step, value)
        for record in Journal(folder / "artifacts" / name).read()
        for metric, value in record.metrics.items()
    )
    assert in_store == in_journal
    assert run.info.status == "FINISHED"


def assert_equal_runs(folder: Path, straight: str, killed: str, batches: int) -> None:
    first, second = folder / "artifacts" / straight, folder / "artifacts" / killed
    expected, seen = losses_of(folder, straight), losses_of(folder, killed)
    assert len(expected) == batches
    # The same events in the same batches at the same steps, and each repetition with the very same loss.
    assert seen == expected
    # They are first seen in the order of the uninterrupted run.
    assert list(seen) == list(expected)
    for name in (LAST_NAME, BEST_NAME):
        one, other = state_of(first / name), state_of(second / name)
        assert [part for part in one if one[part] != other[part]] == []
    assert told(first) == told(second)
    assert len((second / JOURNAL_NAME).read_text().splitlines()) == 2
    assert_store_equals_journal(folder, killed)
    assert not list(second.glob(".*.partial*"))
