"""Files on servers must give the very bytes that the same files give on a disk."""

import logging
import shutil

import awkward as ak
import numpy as np
import pytest
import torch
import uproot

from lib.data.files import persistence
from lib.data.files.location import RemotePath
from lib.data.files.paths import resolve_paths
from lib.data.stream import open_stream
from lib.data.trees import layout_index
from lib.data.trees.schema import BranchPlan, check_files
from lib.data.trees.source import iterate_raw
from lib.errors import DataError
from tests.data.file_servers import http_server, xrootd_server
from tests.data.root_files import make_events, write_root
from tests.data.test_stream import NORMALIZATION, TRUTH

PLAN = BranchPlan("tree", "npho", "time", ("energyTruth", "uvwTruth"))
CODECS = {
    "none": None,
    "lz4": uproot.LZ4(1),
    "zstd": uproot.ZSTD(1),
    "zlib": uproot.ZLIB(1),
    "lzma": uproot.LZMA(1),
}
SERVERS = ["http", pytest.param("root", marks=pytest.mark.server)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(persistence, "PAUSES_S", (0.05, 0.1))


@pytest.fixture(scope="module")
def formats(tmp_path_factory):
    """One file for each codec, an RNTuple, and one with branches of variable type."""
    folder = tmp_path_factory.mktemp("formats")
    events = make_events(23)
    rounded = {**events, "npho": events["npho"].round()}
    for name, codec in CODECS.items():
        write_root(folder / f"{name}.root", rounded, basket=9, compression=codec)
    with uproot.recreate(folder / "ntuple.root") as file:
        file.mkrntuple("tree", {name: ak.to_regular(ak.Array(values), axis=None) for name, values in events.items()})
    write_root(folder / "jagged.root", {n: ak.Array(v.tolist()) if v.ndim > 1 else v for n, v in events.items()})
    return folder


@pytest.fixture(params=SERVERS)
def serve(request):
    """Serve a folder by one kind of server."""
    return http_server if request.param == "http" else xrootd_server


def urls(server, names):
    return [f"{server.url}/{name}" for name in names]


def raw(paths, **settings):
    return list(iterate_raw(check_files(resolve_paths(paths), PLAN), PLAN, **settings))


def test_every_codec_and_format_gives_the_bytes_of_the_local_file(serve, formats):
    with serve(formats) as server:
        for file in sorted(formats.glob("*.root")):
            (remote,), (local,) = raw(urls(server, [file.name])), raw(str(file))
            for name in ("npho", "time", "run", "event"):
                assert getattr(remote, name).tobytes() == getattr(local, name).tobytes(), (file.name, name)
            for name, values in local.truth.items():
                assert remote.truth[name].tobytes() == values.tobytes(), (file.name, name)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        pytest.param({"num_workers": 1}, marks=pytest.mark.server),
        {"cache": "auto"},
        {"cut": "uvwTruth[0] > 0"},
    ],
    ids=str,
)
def test_shuffled_batches_are_those_of_the_local_files(serve, root_folder, data_config, tmp_path, settings):
    if settings.get("cache"):
        settings = {**settings, "cache_dir": str(tmp_path / "cache")}
    local = open_stream(data_config(**settings), NORMALIZATION, TRUTH, split="train", seed=5)
    with serve(root_folder) as server:
        paths = urls(server, [f"part_{index}.root" for index in range(3)])
        config = data_config(train_path=paths, val_path=paths, **settings)
        remote = open_stream(config, NORMALIZATION, TRUTH, split="train", seed=5)
        for expected, batch in zip(local.epoch(1), remote.epoch(1), strict=True):
            assert torch.equal(batch.x, expected.x)
            assert torch.equal(batch.event, expected.event)
            assert all(torch.equal(batch.truth[name], values) for name, values in expected.truth.items())


def test_a_list_may_mix_servers_and_disks(root_folder, tmp_path):
    with http_server(root_folder) as server:
        listing = tmp_path / "files.txt"
        listing.write_text(f"{server.url}/part_1.root  # far\n{root_folder}/part_0.root\n{server.url}/part_1.root\n")
        assert [str(path) for path in resolve_paths(str(listing))] == [
            str(root_folder / "part_0.root"),
            f"{server.url}/part_1.root",
        ]
        assert np.concatenate([chunk.event for chunk in raw(str(listing))]).tolist() == list(range(140))


def test_known_layouts_are_used_until_the_file_changes(serve, root_folder, tmp_path, monkeypatch):
    opened = []
    original = layout_index.read_layout
    monkeypatch.setattr(layout_index, "read_layout", lambda path, tree: opened.append(path) or original(path, tree))
    shutil.copytree(root_folder, tmp_path / "data")
    with serve(tmp_path / "data") as server:
        path = RemotePath(f"{server.url}/part_2.root")
        for _ in range(2):
            assert check_files([path], PLAN)[0].num_entries == 33
        assert opened == [path]
        write_root(server.folder / "part_2.root", make_events(12))
        assert check_files([path], PLAN)[0].num_entries == 12
        assert opened == [path] * 2


def test_a_missing_file_is_named_at_the_start(serve, root_folder):
    with serve(root_folder) as server, pytest.raises(DataError, match=r"none.root: .*(404|3011).*URL"):
        check_files([RemotePath(f"{server.url}/none.root"), RemotePath(f"{server.url}/part_0.root")], PLAN)


def test_a_server_that_is_down_is_asked_once_for_all_its_files(serve, root_folder):
    with serve(root_folder) as server:
        paths = [RemotePath(url) for url in urls(server, ["a.root", "b.root", "c.root"])]
    with pytest.raises(DataError, match=r"(?s)a.root: .* does not answer \(3 attempts.*b.root: not asked for"):
        check_files(paths, PLAN)


def test_a_server_that_goes_down_is_named_or_quarantined(serve, root_folder, data_config, tmp_path):
    with serve(root_folder) as server:
        path = f"{server.url}/part_0.root"
        config = data_config(train_path=path, val_path=path, quarantine_report=str(tmp_path / "bad.jsonl"))
        strict = open_stream(config, NORMALIZATION, TRUTH, split="validation", seed=1)
        lenient = open_stream(
            config.model_copy(update={"on_bad": "quarantine", "max_bad_share": 1.0}),
            *(NORMALIZATION, TRUTH),
            split="validation",
            seed=1,
        )
    with pytest.raises(DataError, match=r"part_0.root: .* does not answer"):
        list(strict.epoch(0))
    assert not list(lenient.epoch(0))
    assert lenient.ledger()[0].quarantined == 90
    assert "does not answer" in (tmp_path / "bad.jsonl").read_text()


@pytest.mark.server
def test_an_xrootd_server_that_comes_back_is_used_again(root_folder, caplog, monkeypatch):
    monkeypatch.setattr(persistence, "PAUSES_S", (1.0, 2.0, 4.0))
    with xrootd_server(root_folder) as server, caplog.at_level(logging.INFO):
        files = check_files(resolve_paths(f"{server.url}/"), PLAN)
        assert [file.path.name for file in files] == ["part_0.root", "part_1.root", "part_2.root"]
        chunks = iterate_raw(files, PLAN, chunk=10, threads=1)
        first = next(chunks)
        server.kill()
        server.start()
        events = np.concatenate([first.event, *(chunk.event for chunk in chunks)])
    assert events.tolist() == list(range(173))


@pytest.mark.server
def test_folders_and_patterns_are_listed_by_xrootd(root_folder, tmp_path):
    shutil.copytree(root_folder, tmp_path / "data")
    (tmp_path / "data" / "deep" / "er").mkdir(parents=True)
    shutil.copy(root_folder / "part_2.root", tmp_path / "data" / "deep" / "er" / "part_3.root")
    with xrootd_server(tmp_path / "data") as server:

        def names(text):
            return [path.name for path in resolve_paths(f"{server.url}{text}")]

        assert names("/") == ["part_0.root", "part_1.root", "part_2.root"]
        assert names("/part_[12].root") == ["part_1.root", "part_2.root"]
        assert names("/deep/*/*.root") == ["part_3.root"]
        assert sorted(names("/**/*.root")) == [f"part_{index}.root" for index in range(4)]
        with pytest.raises(DataError, match=r"z\*.root: the pattern matches no file"):
            names("/z*.root")
        with pytest.raises(DataError, match=r"deep/: the folder holds no \*.root file"):
            names("/deep/")
        with pytest.raises(DataError, match=r"none: .*3011"):
            names("/none/")


@pytest.mark.server
def test_a_folder_without_its_slash_is_told_of(root_folder, tmp_path):
    with xrootd_server(root_folder) as server, pytest.raises(DataError, match=r"3016.*End the name of a folder by"):
        check_files(resolve_paths(server.url), PLAN)


def test_a_missing_client_is_told_with_the_command(monkeypatch):
    from lib.data.files import xrootd_file

    monkeypatch.setattr(xrootd_file, "client", None)
    with pytest.raises(DataError, match=r"root://h//a.root: reading root:// needs .*pip install 'xec-ml\[remote\]'"):
        check_files([RemotePath("root://h//a.root")], PLAN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://h/data/*.root", "http servers have no way to list files. Name each file"),
        ("https://h/data/", "https servers have no way to list files"),
        ("http://h/files.txt", "a list of paths must lie on a disk"),
    ],
)
def test_what_servers_cannot_do_is_said(text, message):
    with pytest.raises(DataError, match=message):
        resolve_paths(text)


def test_an_unknown_scheme_is_answered_with_the_nearest():
    with pytest.raises(DataError, match=r"rot://h//a.root: rot:// cannot be read; nearest: .*root"):
        check_files(resolve_paths("rot://h//a.root"), PLAN)
