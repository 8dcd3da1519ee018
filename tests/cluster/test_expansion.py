import json
import math
from pathlib import Path

import pytest

from lib.cluster.expansion import expand, require_valid, run_name
from lib.cluster.sweep_config import SweepConfig
from lib.config import load_config
from lib.errors import ConfigError

QUICKSTART = "configs/regressor/quickstart.yaml"


def sweep(**settings: object) -> SweepConfig:
    definition = {"name": "s", "kind": "regressor", "base": QUICKSTART, **settings}
    return SweepConfig.model_validate_json(json.dumps(definition))


def test_a_grid_has_every_combination_in_order():
    points = expand(sweep(grid={"a.x": [1, 2], "a.y": ["p", "q", "r"]}))
    assert [tuple(point.settings.values()) for point in points] == [
        (1, "p"), (1, "q"), (1, "r"), (2, "p"), (2, "q"), (2, "r"),
    ]  # fmt: skip
    assert [point.index for point in points] == list(range(6))


def test_fixed_settings_are_in_every_point_and_give_way_to_its_own():
    points = expand(sweep(fixed={"a.x": 1, "a.y": 2}, points=[{"a.x": 3}, {}]))
    assert [dict(point.settings) for point in points] == [{"a.x": 3, "a.y": 2}, {"a.x": 1, "a.y": 2}]


def test_random_points_are_a_function_of_the_seed_and_stay_inside():
    space = {"a.x": {"low": 1e-5, "high": 1e-2, "log": True}, "a.n": {"low": 2, "high": 5, "integer": True},
             "a.c": {"choice": [[1, 2], [3, 4]]}}  # fmt: skip
    first, again, other = (expand(sweep(random={"trials": 400, "seed": seed, "space": space})) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    rates = [point.settings["a.x"] for point in first]
    assert all(1e-5 <= rate <= 1e-2 for rate in rates)
    # The logarithm is uniform: its mean is the middle, with an error of 3 decades / sqrt(12 * 400).
    assert sum(map(math.log10, rates)) / 400 == pytest.approx(-3.5, abs=4 * 3 / math.sqrt(12 * 400))
    assert {point.settings["a.n"] for point in first} == {2, 3, 4, 5}
    assert {tuple(point.settings["a.c"]) for point in first} == {(1, 2), (3, 4)}


@pytest.mark.parametrize("value", [1e-05, 3, True, None, "1e-4", "null", "é: [", [1, "a"], 1e300])
def test_a_setting_reaches_the_configuration_as_it_is(value, tmp_path):
    from lib.config.document import parse_document
    from lib.config.overrides import apply_overrides

    (point,) = expand(sweep(points=[{"a.x": value}]))
    assert apply_overrides(parse_document("", "x"), point.assignments()).data == {"a": {"x": value}}


def test_points_are_checked_before_anything_runs():
    wrong = sweep(grid={"training.lr": [1e-4, -1.0]})
    with pytest.raises(ConfigError, match=r"point 1 of sweep s.*\n.*training.lr"):
        require_valid(wrong, expand(wrong))
    unknown = sweep(points=[{"training.learning_rate": 1e-4}])
    with pytest.raises(ConfigError, match="unknown key; nearest: "):
        require_valid(unknown, expand(unknown))


def test_a_thousand_points_are_valid_configurations():
    many = sweep(random={"trials": 1000, "space": {"training.lr": {"low": 1e-4, "high": 1e-3, "log": True}}})
    points = expand(many)
    require_valid(many, points)
    assert len({point.settings["training.lr"] for point in points}) == 1000


def test_too_many_points_are_refused():
    with pytest.raises(ConfigError, match="more than 100000 points"):
        expand(sweep(grid={"a.x": list(range(400)), "a.y": list(range(400))}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "exactly one of"), ({"grid": {"a.x": [1]}, "points": [{"a.x": 1}]}, "exactly one of"),
        ({"grid": {"a.x": []}}, "needs a value"), ({"points": []}, "needs a point"),
        ({"random": {"trials": 1, "space": {"a.x": {"low": 2, "high": 1}}}}, "low must lie below high"),
        ({"random": {"trials": 1, "space": {"a.x": {"low": 0, "high": 1, "log": True}}}}, "needs low > 0"),
        ({"random": {"trials": 1, "space": {"a.x": {"low": 0.5, "high": 2, "integer": True}}}}, "whole bounds"),
    ],
)  # fmt: skip
def test_impossible_sweeps_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        sweep(**settings)


@pytest.mark.parametrize("path", sorted(Path("scan_param/sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_sweeps_are_valid(path):
    config = load_config(SweepConfig, path)
    require_valid(config, expand(config))


def test_runs_are_named_after_the_sweep():
    assert run_name(sweep(points=[{}]), 7) == "s_0007"
