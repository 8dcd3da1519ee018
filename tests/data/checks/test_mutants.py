"""Whatever a file suffers, the loader names it or leaves it out; it never hands out what the file does not mean."""

import threading
import time

import pytest

from lib.data.checks.mutant_trial import Trial, count_verdicts, try_mutants
from lib.data.checks.mutants import KINDS, NUM_EVENTS
from lib.data.files.file_bytes import LocalBytes
from tests.data.test_stream import NORMALIZATION, event_numbers

ALLOWED = {
    "error": {"named_error", "read"},
    # A link to nowhere is no file at all, so it cannot be left out.
    "quarantine": {"quarantined", "read", "named_error"},
}
LONGEST_S = 60.0


def run_trials(folder, count, on_bad, seed) -> list[Trial]:
    """Read mutants in a thread, so that one that hangs is seen."""
    trials: list[Trial] = []
    thread = threading.Thread(target=lambda: trials.extend(try_mutants(folder, count, on_bad, seed)), daemon=True)
    thread.start()
    thread.join(LONGEST_S + count)
    assert not thread.is_alive(), "reading hangs"
    assert len(trials) == count
    return trials


def assert_harmless(trials: list[Trial], on_bad: str) -> None:
    bad = [trial for trial in trials if trial.verdict not in ALLOWED[on_bad]]
    assert not bad, [f"{trial.kind}: {trial.verdict} {trial.message}" for trial in bad]
    for trial in trials:
        assert all(row.read == row.used + row.cut + row.quarantined for row in trial.ledger)
        if on_bad == "quarantine" and trial.kind != "unreadable":
            assert trial.verdict != "named_error", f"{trial.kind}: {trial.message}"


@pytest.mark.parametrize("on_bad", ["error", "quarantine"])
def test_a_hundred_mutants_are_named_or_left_out(tmp_path, on_bad):
    trials = run_trials(tmp_path, 100, on_bad, seed=5)
    assert {trial.kind for trial in trials} == set(KINDS)
    assert_harmless(trials, on_bad)
    # Faults must have happened: a loader that reads all of them looks at nothing.
    harmful = {trial.kind for trial in trials if trial.verdict in {"named_error", "quarantined"}}
    assert {"truncated", "cut_in_use", "replaced", "bit_flip", "vanishing", "width", "jagged"} <= harmful
    # What is odd and not damaged is read.
    assert {t.verdict for t in trials if t.kind in {"nan", "inf", "huge", "number_type", "unsorted"}} == {"read"}


@pytest.mark.slow
@pytest.mark.parametrize("on_bad", ["error", "quarantine"])
def test_a_thousand_mutants_are_named_or_left_out(tmp_path, on_bad):
    assert_harmless(run_trials(tmp_path, 1000, on_bad, seed=6), on_bad)


def test_a_reading_that_gives_other_values_is_seen(tmp_path, monkeypatch):
    """Without the check of the hashes, flipped bits of uncompressed files are handed out."""
    monkeypatch.setattr("lib.data.checks.mutants.record_hashes", lambda *_: 0)
    monkeypatch.setattr("lib.data.checks.mutants.CODECS", {"none": None, "zstd": None})
    monkeypatch.setattr("lib.data.checks.mutant_trial.KINDS", ("bit_flip",))
    assert count_verdicts(try_mutants(tmp_path, 12, "error", seed=1))["silent"] >= 3


def test_a_crash_and_an_error_without_a_name_are_told_apart(tmp_path, monkeypatch):
    from lib.errors import DataError

    monkeypatch.setattr("lib.data.checks.mutant_trial.KINDS", ("nan",))
    for error, verdict in ((ValueError("bad"), "crash"), (DataError("some file is damaged"), "unnamed_error")):

        def fail(*_args, error=error, **_options):
            raise error

        monkeypatch.setattr("lib.data.checks.mutant_trial.open_stream", fail)
        (trial,) = try_mutants(tmp_path / verdict, 1, "error", seed=1)
        assert trial.verdict == verdict


def test_slow_reading_gives_the_same_events(data_config, monkeypatch):
    from lib.data.stream import open_stream

    read, calls = LocalBytes.read, []

    def slow(self, place, into):
        calls.append(place)
        time.sleep(0.002)
        read(self, place, into)

    monkeypatch.setattr(LocalBytes, "read", slow)
    monkeypatch.setattr(LocalBytes, "map", None)
    stream = open_stream(data_config(), NORMALIZATION, (), split="validation", seed=0)
    assert event_numbers(list(stream.epoch(0))) == list(range(173))
    assert calls


def test_mutants_are_small():
    assert NUM_EVENTS * 4760 * 8 < 10**6
