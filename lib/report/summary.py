"""A run in plain sentences."""

import math
from datetime import UTC, datetime
from typing import Final

from lib.evaluation.drawing.value_text import with_error
from lib.report.run_folder import RunFolder

_WHAT: Final = {
    "mae": "A masked autoencoder (pretraining of the encoder without labels)",
    "regressor": "A regressor",
    "inpainter": "An inpainter of dead channels",
}
_ENDINGS: Final = {
    "RUNNING": "is still running, or was cut off without a word",
    "FINISHED": "finished",
    "FAILED": "stopped by itself or failed",
    "KILLED": "was stopped on request",
}


def summarize_run(run: RunFolder) -> list[str]:
    """Return what was trained on what, how it went and how well it does, one sentence each."""
    return [sentence for sentence in (_what(run), _data(run), _course(run), _speed(run), _result(run)) if sentence]


def bottleneck(run: RunFolder) -> str:
    """Return what takes most of a step, in words; empty where nothing tells."""
    shares = {
        name.removeprefix("profile/").removesuffix("_share"): share
        for name, share in run.last.items()
        if name.startswith("profile/") and name.endswith("_share") and name != "profile/peak_share"
    }
    if shares:
        worst = max(shares, key=lambda name: shares[name])
        return f"The largest part of a step is {worst} ({shares[worst]:.0%})."
    wait = run.last.get("train/data_wait_share", math.nan)
    if not math.isfinite(wait):
        return ""
    limit = "reading data" if wait > 0.5 else "the model"
    return f"It waited for data {wait:.0%} of the time, so {limit} sets the pace (training.profile=true tells more)."


def _what(run: RunFolder) -> str:
    started = datetime.fromtimestamp(run.records[0].time_ms / 1e3, tz=UTC)
    weights = f" with {run.num_parameters:,} weights" if run.num_parameters else ""
    what = _WHAT.get(run.kind, "A model")
    return f"{what}{weights} was trained; its first epoch ended on {started:%d %B %Y at %H:%M} UTC."


def _data(run: RunFolder) -> str:
    parts = []
    for split, name in (("train", "trained on"), ("val", "validated on")):
        rows = [row for found, row in run.ledger if found == split]
        if rows:
            files = f"{len(rows)} file" + "s" * (len(rows) > 1)
            parts.append(
                f"{name} {sum(row.used for row in rows):,} of {sum(row.read for row in rows):,} events of {files}"
            )
    return f"It was {' and '.join(parts)}." if parts else ""


def _course(run: RunFolder) -> str:
    best = run.best
    train, validation = best.metrics.get("train/loss", math.nan), best.metrics.get("val/loss", math.nan)
    epochs = f"{len(run.records)} epoch" + "s" * (len(run.records) > 1)
    return (
        f"The run {_ENDINGS.get(run.status, 'ended as ' + run.status)} after {epochs}; the best is epoch {best.step} "
        f"with a validation loss of {validation:.4g} (training loss {train:.4g})."
    )


def _speed(run: RunFolder) -> str:
    speed = run.last.get("train/events_per_second", math.nan)
    return f"It went through {speed:,.0f} events per second. {bottleneck(run)}" if math.isfinite(speed) else ""


def _result(run: RunFolder) -> str:
    found = [
        f"{summary.name} {with_error(summary.quantile.value, summary.quantile.error)} {summary.unit}"
        for summary in run.resolutions()
        if math.isfinite(summary.quantile.value)
    ]
    return f"68 % of the validation events are off by less than: {', '.join(found)}." if found else ""
