"""Where an input file lies: on a disk, or on a server."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

XROOTD_SCHEMES: Final = ("root", "roots", "xroot", "xroots")
HTTP_SCHEMES: Final = ("http", "https")


@dataclass(frozen=True)
class RemotePath:
    """A file or folder on a server; answers what is asked of a ``pathlib.Path`` by name.

    Attributes:
        url: As the user wrote it, such as ``root://host//data/run1.root``.
    """

    url: str

    def __str__(self) -> str:
        return self.url

    # Sorted lists may hold both kinds: files on disks come first.
    def __lt__(self, other: "InputPath") -> bool:
        return isinstance(other, RemotePath) and self.url < other.url

    def __gt__(self, other: "InputPath") -> bool:
        return not isinstance(other, RemotePath) or self.url > other.url

    @property
    def scheme(self) -> str:
        """What stands before ``://``, in lower case."""
        return self.url.partition("://")[0].lower()

    @property
    def server(self) -> str:
        """Scheme, host and port, such as ``root://host:1094``."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}"

    @property
    def name(self) -> str:
        """What follows the last slash, query included, for that may name the file."""
        place, mark, query = self.url.partition("?")
        return place.rpartition("/")[2] + mark + query

    @property
    def stem(self) -> str:
        """Name without query and suffix."""
        return PurePosixPath(self.name.partition("?")[0]).stem

    @property
    def parent(self) -> "RemotePath":
        """The folder."""
        return RemotePath(self.url.partition("?")[0].rpartition("/")[0])

    def resolve(self) -> "RemotePath":
        """Return the path itself; servers do not tell their links."""
        return self


InputPath: TypeAlias = Path | RemotePath


def is_url(text: str) -> bool:
    """Return whether a text names something on a server, known scheme or not."""
    return "://" in text


def input_path(text: str) -> InputPath:
    """Return the path of a file that is named by a path or a URL."""
    return RemotePath(text) if is_url(text) else Path(text).expanduser()
