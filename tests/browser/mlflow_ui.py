"""The pages of MLflow over the store of a working folder."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 180


@contextmanager
def mlflow_ui(folder: Path) -> Iterator[str]:
    """Serve ``mlruns.db`` of a folder on a free port of the loopback interface and yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", "sqlite:///mlruns.db", "--workers", "1"]
    with (folder / "ui.log").open("w") as log:
        # Its job queue would start eight more processes.
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        arguments = [*command, "--port", str(port)]
        server = subprocess.Popen(arguments, cwd=folder, stdout=log, stderr=log, env=environment)
        try:
            address = f"http://127.0.0.1:{port}"
            _await_answer(address, server)
            yield address
        finally:
            server.terminate()
            server.wait(30)


def _await_answer(address: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"mlflow ui did not start within {START_SECONDS} s; see ui.log")
