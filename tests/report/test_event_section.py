"""What the script draws from must be the event."""

import json
import re
from pathlib import Path

import numpy as np

from lib.evaluation.kept_events import KeptEvent
from lib.geometry.sensors import FACE_NAMES, nominal_sensors
from lib.report.event_section import event_section
from tests.report.made_run import add_worst


def data_of(kept: list[KeptEvent]) -> dict[str, object]:
    found = re.search(r'type="application/json">(.*?)</script>', event_section(kept), re.DOTALL)
    assert found
    content: dict[str, object] = json.loads(found[1])
    return content


def test_values_dead_channels_and_missing_times_reach_the_script(tmp_path: Path) -> None:
    kept = add_worst(tmp_path, "run")
    first, second = data_of(kept)["events"]  # type: ignore[misc]
    assert np.allclose(first["npho"], kept[0].event.npho, atol=0.05)
    assert first["time"][:101].count(None) == 100
    assert [sensor for sensor, npho in enumerate(second["npho"]) if npho is None] == [3, 4700]
    assert [letters[3] for letters in second["colours"]] == ["w", "w"]
    assert first["colours"][1][5] == "x"
    assert (len(first["truth"]), second["truth"]) == (2, [])
    assert (len(first["predicted"]), second["predicted"]) == (2, [])


def test_brighter_sensors_have_later_colours(tmp_path: Path) -> None:
    (first, _) = data_of(kept := add_worst(tmp_path, "run"))["events"]  # type: ignore[misc]
    steps = np.array([int(letter, 36) for letter in first["colours"][0]])
    order = np.argsort(kept[0].event.npho)
    assert (np.diff(steps[order]) >= 0).all()
    assert steps.max() == 31


def test_faces_are_those_of_the_sensors(tmp_path: Path) -> None:
    data = data_of(add_worst(tmp_path, "run"))
    assert data["faces"] == list(FACE_NAMES)
    assert [int(code) for code in data["face"]] == nominal_sensors().face_codes.tolist()  # type: ignore[union-attr]


def test_every_sensor_is_drawn_without_a_script_too(tmp_path: Path) -> None:
    section = event_section(add_worst(tmp_path, "run"))
    shapes = section[section.index('id="sensors"') : section.index('id="truth"')]
    assert len(re.findall("<(?:rect|circle)", shapes)) == 4760
