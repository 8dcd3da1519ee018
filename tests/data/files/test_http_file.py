import logging

import numpy as np
import pytest

from lib.data.files import persistence
from lib.data.files.http_file import HttpFile
from lib.data.files.location import RemotePath
from lib.data.files.persistence import RemoteFileError, UnreachableError
from tests.data.file_servers import http_server

CONTENT = np.random.default_rng(0).integers(0, 256, 200_000).astype(np.uint8)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(persistence, "PAUSES_S", (0.01, 0.01))
    (tmp_path / "a.bin").write_bytes(CONTENT.tobytes())
    with http_server(tmp_path) as server:
        yield server


def opened(server, name="a.bin"):
    return HttpFile(RemotePath(f"{server.url}/{name}"))


def test_ranges_hold_the_bytes_of_the_file(server):
    file = opened(server)
    assert file.state.size == len(CONTENT)
    for start, stop in ((0, 7), (199_990, 200_000), (5, 150_000), (9, 9)):
        into = np.empty(stop - start, np.uint8)
        file.read(start, into)
        assert np.array_equal(into, CONTENT[start:stop])


@pytest.mark.parametrize("num_failures", [1, 2])
def test_a_moment_of_failure_is_bridged(server, num_failures, caplog):
    file = opened(server)
    server.num_failures = num_failures
    into = np.empty(100_000, np.uint8)
    with caplog.at_level(logging.INFO):
        file.read(1000, into)
    assert np.array_equal(into, CONTENT[1000:101_000])
    assert caplog.text.count("asking again") == num_failures


def test_a_server_that_keeps_failing_is_named(server):
    file = opened(server)
    server.num_failures = 99
    with pytest.raises(UnreachableError, match=r"a.bin: http://127.0.0.1:\d+ does not answer \(3 attempts in 0.02 s"):
        file.read(0, np.empty(10, np.uint8))


def test_a_server_that_is_down_is_named(server):
    with pytest.raises(UnreachableError, match=r"http://127.0.0.1:9/x.root: .* does not answer .*refused"):
        HttpFile(RemotePath("http://127.0.0.1:9/x.root"))


def test_a_missing_file_is_told_at_once(server):
    with pytest.raises(RemoteFileError, match=r"no.bin: the server answers 404 Not Found. .* check the URL"):
        opened(server, "no.bin")
    assert server.num_requests == 1


def test_a_server_without_ranges_is_told_what_to_do(server):
    server.ranges = False
    with pytest.raises(RemoteFileError, match=r"a.bin: the server sends whole files only.*Serve the file by XRootD"):
        opened(server)


def test_a_file_that_changed_is_noticed(server, tmp_path):
    file = opened(server)
    (tmp_path / "a.bin").write_bytes(CONTENT.tobytes()[::-1])
    with pytest.raises(RemoteFileError, match=r"a.bin: the file changed while it was in use. Start again"):
        file.read(0, np.empty(10, np.uint8))
    assert opened(server).state != file.state


def test_an_empty_file_is_empty(server, tmp_path):
    (tmp_path / "empty.bin").touch()
    assert opened(server, "empty.bin").state.size == 0


def test_a_server_that_hides_the_size_is_refused(server, monkeypatch):
    monkeypatch.setattr("http.server.SimpleHTTPRequestHandler.send_header", _without("Content-Range"))
    with pytest.raises(RemoteFileError, match="does not tell the size of the file"):
        opened(server)


def _without(hidden):
    from http.server import BaseHTTPRequestHandler

    original = BaseHTTPRequestHandler.send_header

    def send_header(self, name, value):
        if name != hidden:
            original(self, name, value)

    return send_header
