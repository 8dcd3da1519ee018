"""Real servers on the loopback interface, for the folder that they are given."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class HttpServer(ThreadingHTTPServer):
    """Serves files with or without ranges of bytes, and fails on request.

    Attributes:
        ranges: Whether ranges are honoured.
        num_failures: Requests that are answered by 503 or an answer that ends early, in turns, before the next is
            served.
        num_requests: Requests so far.
    """

    daemon_threads = True

    def __init__(self, folder: Path, *, ranges: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.ranges = ranges
        self.num_failures = 0
        self.num_requests = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def kill(self) -> None:
        """Stop listening, and answer nobody who is still connected."""
        self.num_failures = 1 << 62
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Say nothing: clients are cut off on purpose."""


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HttpServer

    def do_GET(self):
        self.server.num_requests += 1
        if self.server.num_failures % 2 == 1:
            self.server.num_failures -= 1
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"", {})
            return
        path = self.server.folder / self.path.lstrip("/").partition("?")[0]
        if not path.is_file():
            self._answer(HTTPStatus.NOT_FOUND, b"", {})
            return
        content, status = path.read_bytes(), path.stat()
        state = {"ETag": f'"{status.st_mtime_ns:x}"'}
        asked = self.headers.get("Range")
        if asked is None or not self.server.ranges:
            self._answer(HTTPStatus.OK, content, state)
            return
        first, last = (int(number) for number in asked.removeprefix("bytes=").split("-"))
        if first >= len(content):
            self._answer(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        part = content[first : last + 1]
        state["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(content)}"
        self._answer(HTTPStatus.PARTIAL_CONTENT, part, state)

    def _answer(self, code, content, headers):
        # Decided first: the client goes on as soon as it has the headers.
        cut_short = self.server.num_failures > 0 and code == HTTPStatus.PARTIAL_CONTENT
        self.server.num_failures -= cut_short
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if cut_short:
            content = content[: len(content) // 2]
            self.close_connection = True
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@contextmanager
def http_server(folder: Path, *, ranges: bool = True) -> Iterator[HttpServer]:
    """Serve a folder by HTTP."""
    server = HttpServer(folder, ranges=ranges)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.kill()
        thread.join()


class XrootdServer:
    """A server process that may be killed and started again.

    Attributes:
        folder: What it exports.
        url: Of the folder.
    """

    def __init__(self, place: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._place = place
        self.folder = place / "data"
        self.url = f"root://localhost:{self._port}/{self.folder}"
        lines = [f"xrd.port {self._port}", f"all.export {self.folder} r/o", f"all.adminpath {place}/admin"]
        (place / "server.cfg").write_text("\n".join([*lines, f"all.pidpath {place}/admin"]) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until connections are accepted."""
        # The server refuses to be the superuser.
        user = ["-R", "daemon"] if os.getuid() == 0 else []
        command = ["xrootd", "-c", str(self._place / "server.cfg"), "-l", str(self._place / "admin" / "log"), *user]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"xrootd did not start; see {self._place}/admin/log")

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def xrootd_server(folder: Path) -> Iterator[XrootdServer]:
    """Serve a copy of a folder by XRootD; skips the test where server or client are missing."""
    pytest.importorskip("XRootD", reason="needs the XRootD client: pip install 'xec-ml[remote]'")
    if shutil.which("xrootd") is None:
        pytest.skip("needs the XRootD server: apt-get install xrootd-server")
    # The folders of the tests are closed to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="xrootd_", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o755)
        shutil.copytree(folder, Path(place) / "data")
        (Path(place) / "data").chmod(0o755)
        (Path(place) / "admin").mkdir()
        (Path(place) / "admin").chmod(0o777)
        server = XrootdServer(Path(place))
        server.start()
        try:
            yield server
        finally:
            server.kill()
