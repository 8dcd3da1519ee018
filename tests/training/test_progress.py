"""The bar of an epoch."""

import io

import pytest

from lib.training import progress as module
from lib.training.progress import epoch_progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that shows the first number of the list."""
    now = [10.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return now


def test_the_rate_counts_events_since_the_start(clock: list[float]) -> None:
    with epoch_progress("epoch 1/2", 3) as progress:
        for _ in range(3):
            progress.advance(64)
        clock[0] = 14.0
        assert progress.seconds == 4.0
        assert progress.events_per_second == 48.0


def test_a_rate_is_finite_before_any_time_has_passed(clock: list[float]) -> None:
    with epoch_progress("epoch 1/2", 3) as progress:
        assert progress.events_per_second == 0.0


@pytest.mark.parametrize("forced", ["", "1"])
def test_nothing_is_written_where_no_terminal_is(
    forced: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Notebooks and build servers ask for colours, which is no wish for a bar in the log.
    monkeypatch.setenv("FORCE_COLOR", forced)
    with epoch_progress("epoch 1/2", 2) as progress:
        progress.advance(10)
        progress.show("loss 0.5")
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_a_terminal_shows_title_batches_rate_and_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    written = Terminal()
    monkeypatch.setattr("sys.stderr", written)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    with epoch_progress("epoch 3/7", 2) as progress:
        progress.advance(10)
        progress.show("loss 0.5")
        progress.advance(10)
    text = written.getvalue()
    for part in ("epoch 3/7", "2/2", "events/s", "loss 0.5"):
        assert part in text
