from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lib.data.config import DataConfig
from tests.data.root_files import make_events, write_root


@pytest.fixture(scope="session", autouse=True)
def user_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what the tests learn about their files out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("user_cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def root_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files of 90, 50 and 33 events; event numbers run on from file to file."""
    folder = tmp_path_factory.mktemp("events")
    first = 0
    for index, count in enumerate((90, 50, 33)):
        write_root(folder / f"part_{index}.root", make_events(count, first_event=first))
        first += count
    return folder


@pytest.fixture
def data_config(root_folder: Path) -> Callable[..., DataConfig]:
    """Make a data section that reads the three files, with settings replaced."""

    def make(**settings: Any) -> DataConfig:
        values = {"train_path": str(root_folder), "val_path": str(root_folder), "batch_size": 16, "chunksize": 64}
        return DataConfig(**{**values, **settings})

    return make
