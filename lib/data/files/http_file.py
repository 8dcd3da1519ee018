"""Files on HTTP servers, read by ranges of bytes.

Source:
    Range requests and the answers 206 and 416: RFC 9110, section 14.
"""

import re
import weakref

import requests
import xxhash
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from lib.data.files.file_bytes import ByteArray, FileState
from lib.data.files.location import RemotePath
from lib.data.files.persistence import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, PassingError, RemoteFileError, persist

# Threads of one process that may read a file at once without opening connections anew.
_CONNECTIONS = 32
_PARTIAL, _UNSATISFIABLE = 206, 416
_PASSING = (408, 429, 500, 502, 503, 504)
_ADVICE = {
    401: "The server wants a login: put it into ~/.netrc.",
    403: "The server refuses it: check your rights.",
    404: "The server has no such file: check the URL.",
    410: "The server has no such file any more.",
}


class HttpFile:
    """A file on an HTTP server, read by ranges; proxies and logins are those of ``requests``."""

    def __init__(self, path: RemotePath) -> None:
        """Ask for size and state of a file.

        Raises:
            RemoteFileError: If it cannot be had, or only as a whole.
        """
        self._path = path
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=_CONNECTIONS))
        weakref.finalize(self, self._session.close)
        self.state = persist(path, self._look)

    def read(self, place: int, into: ByteArray) -> None:
        """See ``FileBytes``; raises ``RemoteFileError``."""
        if len(into):
            persist(self._path, lambda: self._fill(place, into))

    def _look(self) -> FileState:
        try:
            with self._ask(0, 4) as answer:
                # Nothing lies at byte 0 of an empty file, which some servers say and some do not.
                if answer.status_code == _UNSATISFIABLE or (answer.ok and answer.headers.get("Content-Length") == "0"):
                    return FileState(0, 0)
                return self._state_of(answer)
        except PassingError:
            raise
        except (requests.RequestException, HTTPError, OSError) as error:
            raise PassingError(_cause(error)) from error

    def _fill(self, place: int, into: ByteArray) -> None:
        try:
            with self._ask(place, len(into)) as answer:
                if self._state_of(answer) != self.state:
                    raise RemoteFileError(f"{self._path}: the file changed while it was in use. Start again.")
                done = 0
                while done < len(into):
                    count = answer.raw.readinto(into[done:].data)
                    if not count:
                        raise PassingError(f"the answer ended after {done} of {len(into)} bytes")
                    done += count
        except PassingError:
            raise
        except (requests.RequestException, HTTPError, OSError) as error:
            raise PassingError(_cause(error)) from error

    def _ask(self, place: int, count: int) -> requests.Response:
        return self._session.get(
            self._path.url,
            # Compressed on the way, the bytes would have other places.
            headers={"Range": f"bytes={place}-{place + count - 1}", "Accept-Encoding": "identity"},
            stream=True,
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        )

    def _state_of(self, answer: requests.Response) -> FileState:
        code = answer.status_code
        if code in _PASSING:
            raise PassingError(f"it answers {code} {answer.reason}")
        if code == requests.codes.ok:
            raise RemoteFileError(
                f"{self._path}: the server sends whole files only; it ignores the request for a range of bytes. "
                "Serve the file by XRootD, nginx or Apache, or copy it to a disk."
            )
        if code != _PARTIAL:
            raise RemoteFileError(
                f"{self._path}: the server answers {code} {answer.reason}. {_ADVICE.get(code, 'Check the URL.')}"
            )
        size = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        if size is None:
            raise RemoteFileError(
                f"{self._path}: the server does not tell the size of the file (Content-Range: "
                f"{answer.headers.get('Content-Range')!r}). Copy the file to a disk."
            )
        said = answer.headers.get("ETag", "") + "\n" + answer.headers.get("Last-Modified", "")
        # Half of the range, so that the number fits wherever a time does.
        return FileState(int(size[1]), xxhash.xxh3_64_intdigest(said.encode()) >> 1)


def _cause(error: Exception) -> str:
    """Return what went wrong in one line; the libraries wrap it several times."""
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    return f"{type(inner).__name__}: {' '.join(str(inner).split())[:200]}"
