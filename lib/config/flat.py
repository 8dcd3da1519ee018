"""Configurations as flat tables, for lists of parameters and for comparisons."""

import hashlib
import json
from collections.abc import Iterator, Mapping


def flatten(config: Mapping[str, object]) -> dict[str, str]:
    """Return ``section.key`` to value, as text, of a nested configuration."""
    return dict(_leaves(config, ""))


def _leaves(config: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def config_hash(config: Mapping[str, object]) -> str:
    """Return the SHA-256 of a configuration of plain values; the order of its keys does not matter."""
    canonical = json.dumps(config, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """Return one line ``key: old -> new`` for each setting in which two configurations differ."""
    before, after = flatten(old), flatten(new)
    return [
        f"{key}: {before.get(key, 'not set')} -> {after.get(key, 'not set')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
