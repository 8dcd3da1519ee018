"""Which training a configuration is for."""

from pathlib import Path

import pytest

from lib.check import main
from lib.errors import ConfigError


@pytest.mark.parametrize("kind", ["autoencoder", "[mae]", "{mae: 1}", "null", "1"])
def test_a_file_that_names_no_training_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"kind: {kind}\n")
    with pytest.raises(ConfigError, match=r"which training is it for\? Expected a line 'kind: \.\.\.' with one of mae"):
        main(["--config", str(path)])
