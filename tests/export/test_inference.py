"""A file of odd events must be predicted as torch predicts them."""

from pathlib import Path

import numpy as np
import pytest
import torch
import uproot

from lib.data.trees.source import RawChunk
from lib.export.inference import InferenceOptions, infer, predict
from lib.export.model_export import ExportReport
from lib.export.odd_events import KINDS, generate_events
from lib.export.parity import TOLERANCE, scaled_difference
from lib.export.physical_regressor import PhysicalRegressor
from lib.export.session import ExportedModel
from lib.models.regressor import Regressor
from lib.tasks.restore import load_trained

NUM_EVENTS = 2 * len(KINDS) + 3


def test_from_root_to_root_the_numbers_are_those_of_torch(
    report: ExportReport, regressor_checkpoint: Path, tmp_path: Path
) -> None:
    npho, time = generate_events(NUM_EVENTS, np.random.default_rng(4))
    with uproot.recreate(tmp_path / "events.root") as file:
        file.mktree("tree", {name: np.dtype((np.float32, (4760,))) for name in ("my_npho", "relative_time")})
        file["tree"].extend({"my_npho": npho, "relative_time": time})
    output = tmp_path / "p.root"
    options = InferenceOptions(
        report.path, [str(tmp_path / "events.root")], output, batch_size=4, num_threads=1, compare_truth=False
    )
    result = infer(options)
    assert (result.num_events, result.comparison) == (NUM_EVENTS, None)
    trained = load_trained(regressor_checkpoint)
    assert isinstance(trained.model, Regressor)
    with torch.inference_mode():
        model = PhysicalRegressor(trained.model, trained.normalization, trained.targets)
        expected = model(torch.from_numpy(npho), torch.from_numpy(time))
    with uproot.open(output) as file:
        for one, values in zip(model.outputs, expected, strict=True):
            written = file[f"tree/pred_{one.name}"].array(library="np").reshape(-1, one.target.width)
            assert scaled_difference(one, values.numpy(), written).max() <= TOLERANCE


@pytest.mark.parametrize("batch_size", [1, 4, 5, 100])
def test_a_chunk_is_predicted_whole_whatever_the_batch(exported: ExportedModel, batch_size: int) -> None:
    npho, time = generate_events(9, np.random.default_rng(4))
    numbers = np.arange(9)
    predictions = predict(exported, RawChunk(npho, time, {}, numbers, numbers), batch_size)
    together = exported.run(npho, time)
    assert list(predictions) == list(together)
    for name, values in predictions.items():
        np.testing.assert_allclose(values, together[name], rtol=1e-4, atol=1e-12)
