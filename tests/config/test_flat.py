"""A hash must tell configurations apart by their values alone."""

from lib.config.flat import config_hash


def test_the_hash_depends_on_values_and_not_on_the_order() -> None:
    assert config_hash({"a": 1, "b": {"c": 2}}) == config_hash({"b": {"c": 2}, "a": 1})
    assert config_hash({"a": 1}) != config_hash({"a": 2})
