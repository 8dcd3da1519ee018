"""What the loader makes of a file with a fault."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
import torch

from lib.data.checks.mutants import KINDS, Mutant, MutantMaker
from lib.data.choice.quarantine import LedgerRow
from lib.data.config import DataConfig, NormalizationConfig
from lib.data.normalization import Normalization
from lib.data.stream import open_stream
from lib.errors import DataError

Verdict: TypeAlias = Literal["named_error", "unnamed_error", "crash", "silent", "read", "quarantined"]
FIRST_SOUND_EVENT: Final = 1_000_000


@dataclass(frozen=True)
class Trial:
    """The outcome of one reading.

    Attributes:
        kind: What was done to the file.
        verdict: ``named_error`` names the file; ``silent`` gave values that the file does not mean; ``read`` gave
            all, ``quarantined`` some of its values.
        message: Of the error.
        ledger: Where the events of the files went; empty after an error.
    """

    kind: str
    verdict: Verdict
    message: str = ""
    ledger: tuple[LedgerRow, ...] = ()


def try_mutants(folder: Path, count: int, on_bad: Literal["error", "quarantine"], seed: int) -> list[Trial]:
    """Make mutants of all kinds in turn and read each beside a sound file.

    Args:
        folder: An empty folder for the files.
        count: How many.
        on_bad: What the loader is told to do.
        seed: Of the faults.
    """
    maker = MutantMaker(folder / "mutants", seed)
    sound = maker.sound(folder / "sound.root", FIRST_SOUND_EVENT)
    trials = []
    for number in range(count):
        mutant = maker.make(KINDS[number % len(KINDS)])
        trials.append(_try(mutant, sound, on_bad, folder / "quarantine.jsonl"))
        mutant.path.unlink(missing_ok=True)
    return trials


def count_verdicts(trials: Iterable[Trial]) -> Counter[Verdict]:
    """Return how often each verdict was given."""
    return Counter(trial.verdict for trial in trials)


def _try(mutant: Mutant, sound: Path, on_bad: Literal["error", "quarantine"], report: Path) -> Trial:
    config = DataConfig(
        train_path=str(sound),
        val_path=[str(sound), str(mutant.path.parent / f"{mutant.path.stem}*")],
        batch_size=4,
        num_threads=1,
        on_bad=on_bad,
        max_bad_share=1.0,
        quarantine_report=str(report),
    )
    normalization = Normalization.from_config(NormalizationConfig())
    try:
        stream = open_stream(config, normalization, (), split="validation", seed=0)
        mutant.after_start()
        num_read, wrong = 0, False
        for batch in stream.epoch(0):
            own = (batch.weight > 0) & (batch.event < FIRST_SOUND_EVENT)
            num_read += int(own.sum())
            wrong = wrong or not _means(mutant, normalization, batch.event[own], batch.x[own], batch.valid[own])
    except DataError as error:
        named = mutant.path.stem in str(error)
        return Trial(mutant.kind, "named_error" if named else "unnamed_error", str(error))
    except Exception as error:  # noqa: BLE001 - to be counted, whatever it is
        return Trial(mutant.kind, "crash", f"{type(error).__name__}: {error}")
    ledger = tuple(stream.ledger())
    if wrong:
        return Trial(mutant.kind, "silent", ledger=ledger)
    return Trial(mutant.kind, "read" if num_read == len(mutant.event) else "quarantined", ledger=ledger)


def _means(
    mutant: Mutant, normalization: Normalization, events: torch.Tensor, x: torch.Tensor, valid: torch.Tensor
) -> bool:
    """Return whether each row is one of the rows that the file means to hold under this number."""
    expected_x, expected_valid = normalization.apply(torch.from_numpy(mutant.npho), torch.from_numpy(mutant.time))
    for number, one_x, one_valid in zip(events.tolist(), x, valid, strict=True):
        rows = np.flatnonzero(mutant.event == number)
        same = [
            torch.equal(one_valid, expected_valid[row]) and torch.allclose(one_x, expected_x[row], rtol=0, atol=1e-6)
            for row in rows
        ]
        if not any(same):
            return False
    return True
