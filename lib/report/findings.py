"""What to worry about in a run, found in its metrics, and what to do about it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from lib.report.run_folder import RunFolder

# Above these the page says so; below, small samples would raise alarms of their own.
WAIT_SHARE: Final = 0.2
OVERFIT_RATIO: Final = 1.5
STALE_SHARE: Final = 0.4
MIN_EPOCHS: Final = 5
QUARANTINED_SHARE: Final = 0.001


@dataclass(frozen=True)
class Finding:
    """One thing that deserves a look.

    Attributes:
        weight: How much.
        text: What was seen, and what to do.
    """

    weight: Literal["serious", "watch"]
    text: str


def find_worries(run: RunFolder) -> list[Finding]:
    """Return what deserves a look, the serious first; empty where nothing does."""
    sources = (_ending, _skips, _rollbacks, _health, _overfit, _clipping, _waiting, _staleness, _quarantine)
    found = [finding for source in sources for finding in source(run)]
    return sorted(found, key=lambda finding: finding.weight != "serious")


def _ending(run: RunFolder) -> Iterator[Finding]:
    if run.status in {"FAILED", "KILLED"}:
        yield Finding("serious", f"The run ended as {run.status}; go on with the same command and --resume_from auto.")
    if not math.isfinite(run.best.metrics.get("val/loss", math.nan)):
        yield Finding("serious", "No validation loss is finite. Look at the data with lib.check, or lower training.lr.")


def _skips(run: RunFolder) -> Iterator[Finding]:
    total = sum(_finite(run.curve("skipped_steps")))
    if total:
        broken = sum(_finite(run.curve("nonfinite_steps")))
        yield Finding(
            "serious" if broken else "watch",
            f"{total:.0f} steps were skipped, {broken:.0f} of them because loss or gradient was not finite. Their "
            "events are in skipped_steps/; look at the data with lib.check, or lower training.lr.",
        )


def _rollbacks(run: RunFolder) -> Iterator[Finding]:
    times = sum(_finite(run.curve("train/rollbacks")))
    if times:
        undone = sum(_finite(run.curve("train/undone_steps")))
        yield Finding(
            "serious",
            f"The training left its course {times:.0f} times and went back, giving up {undone:.0f} steps. Lower "
            "training.lr, or look at the data of the steps in rollbacks/.",
        )


def _health(run: RunFolder) -> Iterator[Finding]:
    prefix = "val/loss_over_constant_"
    for name, ratio in run.last.items():
        if name.startswith(prefix) and not ratio <= 1.0:
            yield Finding(
                "serious",
                f"{name.removeprefix(prefix)}: the error is {ratio:.2f} times that of a constant prediction; nothing "
                "is learnt of it. Look at the data and the normalization with lib.check.",
            )
    dead = run.last.get("val/dead_units", 0.0)
    if dead > 0.5:
        yield Finding("serious", f"{dead:.0%} of the embedding's units are the same for all events. Lower training.lr.")


def _overfit(run: RunFolder) -> Iterator[Finding]:
    train, validation = run.last.get("train/loss", math.nan), run.last.get("val/loss", math.nan)
    if train > 0 and validation > OVERFIT_RATIO * train:
        yield Finding(
            "watch",
            f"The validation loss is {validation / train:.2f} times the training loss: events are learnt by heart. "
            "More events, training.weight_decay, model.drop_path_rate or training.channel_dropout_rate help.",
        )


def _clipping(run: RunFolder) -> Iterator[Finding]:
    ceiling = _number(run.identity.parameters.get("training.grad_clip", ""))
    medians = _finite(run.curve("grad_norm_p50"))
    if ceiling and medians and min(medians) > ceiling:
        yield Finding(
            "watch",
            f"In every epoch most gradients were clipped: their median norm never fell below {min(medians):.3g}, above "
            f"training.grad_clip of {ceiling:g}. The step size is then set by the ceiling, not by the loss.",
        )


def _waiting(run: RunFolder) -> Iterator[Finding]:
    share = run.last.get("train/data_wait_share", 0.0)
    if share > WAIT_SHARE:
        yield Finding(
            "watch",
            f"The training waited for data {share:.0%} of the time. More data.num_threads or data.num_workers, or a "
            "packed cache (data.cache), feed it faster.",
        )


def _staleness(run: RunFolder) -> Iterator[Finding]:
    later = run.records[-1].step - run.best.step
    if len(run.records) >= MIN_EPOCHS and later > STALE_SHARE * len(run.records):
        yield Finding("watch", f"The best epoch was {run.best.step}; the {later} after it brought nothing.")


def _quarantine(run: RunFolder) -> Iterator[Finding]:
    lost, read = sum(row.quarantined for _, row in run.ledger), sum(row.read for _, row in run.ledger)
    if lost:
        yield Finding(
            "serious" if lost > QUARANTINED_SHARE * read else "watch",
            f"{lost} of {read} events could not be read and were left out; the table of files says where they were.",
        )


def _finite(values: list[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
