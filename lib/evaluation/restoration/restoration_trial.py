"""Restores sensors of events that are known, some hidden for the trial and some truly dead, and writes them as rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from lib.baselines.conventional_sensors import is_valid
from lib.data.branches import EVENT, NO_VALUE, RUN
from lib.evaluation.raw_events import RawBatch
from lib.evaluation.restoration.dead_patterns import draw_sensors
from lib.evaluation.restoration.restored_rows import MASK_KINDS, Columns
from lib.evaluation.restoration.restorer import Restorer
from lib.geometry.coordinates import BoolArray
from lib.geometry.sensors import NUM_MPPC, NUM_SENSORS, FloatArray, IndexArray, nominal_sensors

EXPECTED: Final = "npho_expected"
IS_DEAD: Final = "is_dead"
DISTANCE: Final = "distance"
CLUSTER_SIZE: Final = "cluster_size"
# Sensors this many times as far apart as the nearest ones touch each other, corners included.
_TOUCHING: Final = 1.5
_BRIGHT_SHARE: Final = 0.3


@dataclass(frozen=True)
class HiddenChoice:
    """Which living sensors are hidden.

    Attributes:
        pattern: The same ones in every event, shape (4760,); None draws them.
        share: Of the 4760 sensors, drawn anew for each event, without a pattern.
    """

    pattern: BoolArray | None
    share: float

    @property
    def mask_kind(self) -> int:
        """Number of the way of hiding, as rows tell it."""
        return MASK_KINDS.index("random" if self.pattern is None else "list")

    def draw(self, rng: np.random.Generator, alive: BoolArray) -> BoolArray:
        """Return hidden sensors among the living ones, shape (n, 4760)."""
        if self.pattern is not None:
            return alive & self.pattern
        return alive & draw_sensors(rng, len(alive), int(self.share * NUM_SENSORS))


def trial_rows(
    batch: RawBatch, choice: HiddenChoice, model: Restorer, methods: Sequence[Restorer], rng: np.random.Generator
) -> Columns:
    """Return one row for each sensor that was hidden or had no value.

    Args:
        batch: Events; with ``light`` among their truth, rows say what was to be expected.
        choice: What is hidden.
        model: Its restored values are the columns ``npho_pred`` and ``time_pred``.
        methods: Theirs are ``npho_<name>`` and ``time_<name>``.
        rng: Draws the hidden sensors.

    Returns:
        The columns of ``lib.evaluation.restoration.restored_rows``, and: whether a sensor is truly dead, so that there
        is no truth; the distance in cm to the centre of the light; how many missing sensors touch each other there; and
        the expected light where it is known.
    """
    npho, time = batch.npho.numpy(), batch.time.numpy()
    alive = is_valid(npho)
    hidden = choice.draw(rng, alive)
    missing = hidden | ~alive
    event, sensor = np.nonzero(missing)
    place = (event, sensor)
    restored = {one.name: one.restore(npho, time, missing) for one in (model, *methods)}
    said = restored.pop(model.name)
    columns: Columns = {
        RUN: batch.run[event],
        EVENT: batch.event[event],
        "sensor": sensor.astype(np.int32),
        "face": nominal_sensors().face_codes[sensor].astype(np.int8),
        "mask_kind": np.full(len(sensor), choice.mask_kind, dtype=np.int8),
        IS_DEAD: (~alive[place]).astype(np.int8),
        DISTANCE: _distances(npho, missing)[event, sensor],
        CLUSTER_SIZE: _cluster_sizes(missing)[event, sensor],
        **_channel("npho", npho[place], said.npho[place]),
        **_channel("time", time[place], said.time[place]),
    }
    for name, values in restored.items():
        columns[f"npho_{name}"] = values.npho[place].astype(np.float32)
        columns[f"time_{name}"] = values.time[place].astype(np.float32)
    if "light" in batch.true:
        columns[EXPECTED] = batch.true["light"][place].astype(np.float32)
    return columns


def _channel(name: str, true: FloatArray, predicted: FloatArray) -> Columns:
    known = is_valid(true) & is_valid(predicted)
    error = np.where(known, predicted - np.where(known, true, 0.0), NO_VALUE)
    columns = {f"{name}_truth": np.where(is_valid(true), true, NO_VALUE), f"{name}_pred": predicted}
    return {key: values.astype(np.float32) for key, values in (columns | {f"{name}_error": error}).items()}


def _distances(npho: FloatArray, missing: BoolArray) -> FloatArray:
    """Return the distance of each sensor from the centroid of the brightest MPPCs, cm, shape (n, 4760)."""
    positions = nominal_sensors().positions
    inner = np.where(missing, 0.0, np.maximum(npho, 0.0, dtype=np.float64))[:, :NUM_MPPC]
    # The many faint ones would pull it to the middle of the face.
    bright = np.where(inner > _BRIGHT_SHARE * inner.max(axis=1, keepdims=True), inner, 0.0)
    centre = bright @ positions[:NUM_MPPC] / np.maximum(bright.sum(axis=1, keepdims=True), 1e-9)
    return np.stack([np.linalg.norm(positions - one, axis=1) for one in centre]).astype(np.float32)


@cache
def _touching() -> IndexArray:
    """Return the pairs of sensors of a face that touch each other, shape (k, 2)."""
    table = nominal_sensors()
    pairs = []
    for code in np.unique(table.face_codes):
        ids = np.flatnonzero(table.face_codes == code)
        tree = cKDTree(table.positions[ids])
        nearest = np.asarray(tree.query(table.positions[ids], k=2)[0])[:, 1]
        found = tree.query_pairs(_TOUCHING * nearest.max(), output_type="ndarray")
        distance = np.linalg.norm(table.positions[ids[found[:, 0]]] - table.positions[ids[found[:, 1]]], axis=1)
        # Lattices of different pitch meet on the outer face.
        pairs.append(ids[found[distance < _TOUCHING * nearest[found].max(axis=1)]])
    return np.concatenate(pairs)


def _cluster_sizes(missing: BoolArray) -> IndexArray:
    """Return how many missing sensors hang together with each missing one, 0 for the others, shape (n, 4760)."""
    if (missing == missing[0]).all():
        return np.broadcast_to(_sizes_of_one(missing[0]), missing.shape)
    return np.stack([_sizes_of_one(one) for one in missing])


def _sizes_of_one(missing: BoolArray) -> IndexArray:
    first, second = _touching().T
    both = missing[first] & missing[second]
    graph = csr_matrix((np.ones(both.sum()), (first[both], second[both])), shape=(NUM_SENSORS, NUM_SENSORS))
    _, label = connected_components(graph, directed=False)
    return np.where(missing, np.bincount(label)[label], 0).astype(np.int32)
