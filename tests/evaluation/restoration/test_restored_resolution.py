"""What dead channels cost is measured on the same events with and without them."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from lib.baselines.dead_channels import Restored
from lib.data.branches import INVALID_ABOVE
from lib.evaluation.raw_events import RawBatch
from lib.evaluation.restoration.restored_resolution import costs_of_dead
from lib.evaluation.restoration.restorer import ConventionalRestorer

RNG = np.random.default_rng(0)
ENERGY = RNG.uniform(0.02, 0.05, (400, 1))


class Events:
    """Each sensor sees its share of the energy."""

    def batches(self) -> Iterator[RawBatch]:
        for rows in np.split(np.arange(400), 2):
            npho = torch.tensor(np.repeat(ENERGY[rows] * 1e4, 4760, axis=1), dtype=torch.float32)
            numbers = np.arange(200)
            yield RawBatch(npho, torch.full_like(npho, 1e-8), {"energy": ENERGY[rows]}, numbers, numbers)


class EventsOfKnownLight(Events):
    """What was expected is 1 % less than what was measured."""

    def batches(self) -> Iterator[RawBatch]:
        for batch in super().batches():
            yield replace(batch, true={**batch.true, "light": 0.99 * batch.npho.numpy()})


class Sum:
    """Adds up what was measured."""

    def predict(self, npho: Tensor, time: Tensor) -> dict[str, np.ndarray]:
        total = torch.where(npho < INVALID_ABOVE, npho, 0.0).double().sum(dim=1, keepdim=True)
        return {"energy": (total / 4760e4).numpy(), "angle": np.zeros((len(npho), 2))}


class Doubles:
    """Says twice what was measured."""

    name = "doubles"

    def restore(self, npho: np.ndarray, time: np.ndarray, dead: np.ndarray) -> Restored:
        return Restored(np.where(dead, 2 * npho, npho), time)


def test_each_variant_sees_its_own_readings() -> None:
    dead = np.arange(4760) % 10 == 0
    found = costs_of_dead(Sum(), Events(), dead, [ConventionalRestorer("neighbours"), Doubles()]).resolutions  # type: ignore[arg-type]
    assert list(found) == ["whole", "not_restored", "neighbours", "doubles"]
    assert [one.name for one in found["whole"]] == ["energy"], "what the sensors do not tell is left out"
    sizes = {name: one.quantile.value for name, (one,) in found.items()}
    # Per cent: a tenth of the light is missing, or there twice.
    assert sizes["whole"] == pytest.approx(0.0, abs=1e-3)
    assert sizes["not_restored"] == pytest.approx(10.0, rel=1e-3)
    assert sizes["neighbours"] == pytest.approx(0.0, abs=1e-3)
    assert sizes["doubles"] == pytest.approx(10.0, rel=1e-3)


def test_the_expected_light_stands_beside_the_restorers_where_it_is_known() -> None:
    dead = np.arange(4760) % 10 == 0
    found = costs_of_dead(Sum(), EventsOfKnownLight(), dead, [Doubles()]).resolutions  # type: ignore[arg-type]
    assert list(found) == ["whole", "not_restored", "doubles", "expected"]
    # Per cent: a tenth of the light is 1 % less.
    assert found["expected"][0].quantile.value == pytest.approx(0.1, rel=1e-3)
    assert [one.name for one in found["expected"]] == ["energy"]


class Blurred(Sum):
    """Adds up what was measured, with errors of 1 % that are those of the event; a dead channel counts as 0.1 %."""

    def predict(self, npho: Tensor, time: Tensor) -> dict[str, np.ndarray]:
        missing = (npho >= INVALID_ABOVE).double().sum(dim=1).numpy()
        rows = np.arange(len(npho))
        total = npho[:, -1:].double().numpy() / 1e4
        sign = np.where(rows % 2, 1.0, -1.0)[:, None]
        return {"energy": total * (1 + 0.01 * sign + 0.001 * missing[:, None] * np.where(rows % 4 > 1, 1, -1)[:, None])}


def test_movements_are_those_of_each_event_over_the_residuals_with_all_channels() -> None:
    dead = np.arange(4760) == 7
    found = costs_of_dead(Blurred(), Events(), dead, [Doubles()]).movements  # type: ignore[arg-type]
    # Errors of 1 % with either sign, to which one dead channel adds or from which it takes 0.1 %.
    assert found["not_restored"] == {"energy": pytest.approx(0.1, rel=1e-3)}
    assert found["whole"] == {"energy": 0.0}
    assert found["doubles"] == {"energy": pytest.approx(0.0, abs=1e-6)}
