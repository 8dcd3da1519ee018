import os
from pathlib import Path

from lib.user_cache import user_cache_folder


def test_the_folder_follows_the_users_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
    assert user_cache_folder() == tmp_path / "mine" / "xec-ml"
    assert user_cache_folder().is_dir()


def test_without_the_setting_it_lies_in_the_home(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache_folder() == tmp_path / ".cache" / "xec-ml"


def test_a_home_that_cannot_be_written_is_replaced(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert user_cache_folder() == Path(tmp_path) / f"xec-ml-{os.getuid()}"
