"""Hidden sensors as configured."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from lib.config.document import Document
from lib.config.loading import validate
from lib.data.batch import EventBatch
from lib.errors import DataError
from lib.geometry.sensors import nominal_sensors
from lib.tasks.mask_drawing import MaskDrawing
from lib.tasks.masking import count_hidden
from lib.tasks.masking_config import MaskingConfig
from lib.tasks.restoration_config import RestorationTrainingConfig

FACES = torch.tensor(nominal_sensors().face_codes, dtype=torch.int64)
DRAWN_KINDS = ("random", "npho_flat", "block", "face")


def draw(batch: EventBatch, ratio: float = 0.3, *, training: bool = True, scale: float = 1.0, **settings) -> Tensor:
    return MaskDrawing(MaskingConfig(**settings), ratio, scale).draw(batch, training=training)


@pytest.mark.parametrize("ratio", [0.05, 0.6, 0.95])
@pytest.mark.parametrize("kind", DRAWN_KINDS)
def test_every_kind_hides_the_floor_of_the_ratio_and_nothing_invalid(make_batch, kind: str, ratio: float) -> None:
    batch = make_batch(4)
    valid = batch.valid[..., 0]
    hidden = draw(batch, ratio, kind=kind)
    assert not (hidden & ~valid).any()
    assert torch.equal(hidden.sum(dim=1), count_hidden(valid.sum(dim=1), ratio))


@pytest.mark.parametrize("kind", DRAWN_KINDS)
def test_what_invalid_sensors_hold_changes_no_mask(make_batch, kind: str) -> None:
    batch = make_batch(3)
    poisoned = torch.where(batch.valid, batch.x, 1e30)
    assert torch.equal(draw(batch, kind=kind), draw(replace(batch, x=poisoned), kind=kind))


@pytest.mark.parametrize("kind", DRAWN_KINDS)
def test_the_seed_of_the_batch_decides(make_batch, kind: str) -> None:
    batch = make_batch(3)
    masks = [draw(replace(batch, seed=seed), kind=kind) for seed in (5, 5, 6)]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_quantiles_of_charge_are_hidden_alike(make_batch) -> None:
    batch = make_batch(3)
    hidden = draw(batch, 0.3, kind="npho_flat", num_npho_bins=10)
    for npho, valid, chosen in zip(batch.x[..., 0], batch.valid[..., 0], hidden, strict=True):
        rank = npho[valid].argsort().argsort()
        counts = torch.bincount(rank[chosen[valid]] * 10 // len(rank), minlength=10)
        assert counts.max() - counts.min() <= 1


def test_bins_of_equal_width_give_the_same_number_until_they_are_empty(make_batch) -> None:
    batch = make_batch(2)
    # A falling spectrum: few bright sensors.
    batch = replace(batch, x=batch.x**8 / batch.x.amax() ** 7)
    hidden = draw(batch, 0.05, kind="npho_flat", npho_bins="equal_width", num_npho_bins=5)
    for npho, valid, chosen in zip(batch.x[..., 0], batch.valid[..., 0], hidden, strict=True):
        values = npho[valid]
        bins = ((values - values.min()) / (values.max() - values.min()) * 5).long().clamp(max=4)
        there, taken = (torch.bincount(bins[mask], minlength=5) for mask in (slice(None), chosen[valid]))
        exhausted = taken == there
        kept = taken[~exhausted]
        assert kept.max() - kept.min() <= 1
        assert (taken[exhausted] <= kept.max()).all()


def test_blocks_hide_neighbours_together(make_batch) -> None:
    batch = make_batch(4)
    image = {kind: draw(batch, 0.1, kind=kind)[:, :4092].unflatten(1, (93, 44)) for kind in ("random", "block")}
    together = {kind: (one[..., 1:] & one[..., :-1]).sum() / one.sum() for kind, one in image.items()}
    # At random one in ten neighbours is hidden, too; of 3 x 3 sensors two in three.
    assert together["random"] < 0.15
    assert together["block"] > 0.5


def test_blocks_of_one_sensor_are_single_sensors(make_batch) -> None:
    hidden = draw(make_batch(4), 0.1, kind="block", block_size=1)[:, :4092].unflatten(1, (93, 44))
    assert (hidden[..., 1:] & hidden[..., :-1]).sum() < 0.15 * hidden.sum()


def test_faces_are_hidden_whole_but_for_one(make_batch) -> None:
    batch = make_batch(8)
    hidden = draw(batch, 0.6, kind="face")
    for chosen, valid in zip(hidden, batch.valid[..., 0], strict=True):
        counts = torch.bincount(FACES[chosen], minlength=6)
        partly = (counts > 0) & (counts < torch.bincount(FACES[valid], minlength=6))
        assert partly.sum() <= 1


def test_sensors_with_a_time_are_hidden_as_often_as_asked(make_batch) -> None:
    batch = make_batch(20)
    hidden = draw(batch, 0.02, scale=3.0)
    timed, valid = batch.valid[..., 1], batch.valid[..., 0]
    share = (hidden & timed).sum() / timed.sum()
    others = (hidden & ~timed).sum() / (valid & ~timed).sum()
    # 1900 hidden sensors, a tenth of them without a time: the ratio is known to 8 %.
    assert share / others == pytest.approx(3.0, rel=0.35)


def test_lists_of_dead_channels_are_hidden_where_there_is_a_value(tmp_path: Path, make_batch) -> None:
    files = tuple(tmp_path / name for name in ("one.txt", "two.txt"))
    files[0].write_text("7 8, 4700  # a run\n")
    files[1].write_text("9\n")
    batch = make_batch(40)
    hidden = draw(batch, kind="list", list_files=files)
    patterns = torch.zeros(2, 4760, dtype=torch.bool)
    patterns[0, [7, 8, 4700]] = patterns[1, 9] = True
    expected = patterns[:, None] & batch.valid[None, ..., 0]
    is_pattern = (expected == hidden).all(dim=-1)
    assert is_pattern.any(dim=0).all()
    assert is_pattern.any(dim=1).all()


def test_a_list_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a list of sensor ids"):
        MaskDrawing(MaskingConfig(kind="list", list_files=(tmp_path / "none.txt",)), 0.1)


def test_the_branch_of_dead_channels_gives_the_patterns(make_batch) -> None:
    batch = make_batch(5)
    dead = torch.zeros(5, 4760)
    dead[:, 11:14] = 1.0
    drawing = MaskDrawing(MaskingConfig(kind="branch"), 0.1)
    assert drawing.truth_branches == ["dead"]
    hidden = drawing.draw(replace(batch, truth={**batch.truth, "dead": dead}), training=True)
    assert torch.equal(hidden, (dead > 0) & batch.valid[..., 0])


@pytest.mark.parametrize(("epoch", "ratio"), [(0, 0.1), (2, 0.2), (4, 0.3), (9, 0.3)])
def test_the_ratio_goes_evenly_to_the_last_one_and_validation_stays_there(make_batch, epoch: int, ratio: float) -> None:
    batch = replace(make_batch(2), epoch=epoch)
    course = {"start_ratio": 0.1, "ramp_epochs": 4}
    num_valid = batch.valid[..., 0].sum(dim=1)
    assert torch.equal(draw(batch, **course).sum(dim=1), count_hidden(num_valid, ratio))
    assert torch.equal(draw(batch, training=False, **course).sum(dim=1), count_hidden(num_valid, 0.3))


@pytest.mark.parametrize("kind", DRAWN_KINDS)
def test_each_event_draws_a_ratio_of_its_own_and_validation_none(make_batch, kind: str) -> None:
    batch = make_batch(64)
    num_valid = batch.valid[..., 0].sum(dim=1)
    shares = draw(batch, kind=kind, ratio_range=(0.1, 0.5)).sum(dim=1) / num_valid
    # The edges of the range less the one sensor that rounding down may take.
    assert 0.1 - 1 / num_valid.min() <= shares.min() < 0.15
    assert 0.45 < shares.max() <= 0.5
    # Evenly: the mean of 64 scatters by 0.4 / sqrt(12 * 64) = 0.014.
    assert shares.mean() == pytest.approx(0.3, abs=0.06)
    validated = draw(batch, kind=kind, ratio_range=(0.1, 0.5), training=False)
    assert torch.equal(validated.sum(dim=1), count_hidden(num_valid, 0.3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "list"}, "kind list needs list_files"),
        ({"block_size": 4}, "block_size is not used by kind random"),
        ({"kind": "block", "num_npho_bins": 4}, "num_npho_bins is not used by kind block"),
        ({"kind": "branch", "start_ratio": 0.1}, "start_ratio is not used by kind branch"),
        ({"kind": "branch", "ratio_range": (0.1, 0.2)}, "ratio_range is not used by kind branch"),
        ({"start_ratio": 0.1, "ratio_range": (0.1, 0.2)}, "start_ratio and ratio_range exclude each other"),
        ({"ratio_range": (0.2, 0.1)}, "ratio_range must rise from above 0 to below 1"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(settings, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MaskingConfig(**settings)


def test_weights_of_times_need_the_random_kind() -> None:
    with pytest.raises(ValidationError, match=r"time\.mask_ratio_scale is not used by masking\.kind face"):
        RestorationTrainingConfig.model_validate({"masking": {"kind": "face"}, "time": {"mask_ratio_scale": 2}})


def test_resolved_settings_pass_once_more() -> None:
    settings = RestorationTrainingConfig.model_validate({"masking": {"kind": "face"}})
    again = validate(RestorationTrainingConfig, Document("a.pth", settings.model_dump(mode="json"), {}))
    assert again == settings
