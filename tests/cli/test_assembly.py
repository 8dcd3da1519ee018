"""What a configuration makes of a training."""

import pytest

from lib.cli.assembly import assemble
from lib.cli.schemas import RegressorConfig
from lib.data.normalization import Normalization
from lib.evaluation.correction_fit import CorrectionFit
from tests.models.conftest import TINY


@pytest.mark.parametrize("correct", [True, False])
def test_outputs_are_corrected_if_that_is_wanted(correct: bool) -> None:
    document = {
        "data": {"train_path": "a.root", "val_path": "b.root"},
        "model": TINY,
        "tasks": {"energy": {}},
        "training": {"correct_outputs": correct},
    }
    config = RegressorConfig.model_validate(document)
    parts = assemble(config, Normalization.from_config(config.normalization))
    assert any(isinstance(observer, CorrectionFit) for observer in parts.observers) is correct
