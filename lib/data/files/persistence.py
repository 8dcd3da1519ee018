"""Patience with servers: what fails for a moment is tried again, and what does not answer is told in one message."""

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from lib.data.files.location import RemotePath
from lib.errors import DataError

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A server that is restarted, or a moment's overload, is bridged; one that is down is told after half a minute.
PAUSES_S: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
CONNECT_TIMEOUT_S: Final = 10
READ_TIMEOUT_S: Final = 60


class PassingError(OSError):
    """A server did not answer, or not in full; it may do so when it is asked again."""


class RemoteFileError(DataError):
    """A file on a server cannot be had; the message names its URL."""


class UnreachableError(RemoteFileError):
    """A server does not answer, so that its other files cannot be had either."""


def persist(path: RemotePath, ask: Callable[[], T]) -> T:
    """Return what a server answers, asking again after growing pauses.

    Args:
        path: What is asked for, for messages.
        ask: Raises ``PassingError`` for what is worth another attempt; anything else is passed on.

    Raises:
        UnreachableError: If the last attempt failed too.
    """
    for pause in PAUSES_S:
        try:
            return ask()
        except PassingError as error:
            logger.info("%s: %s; asking again in %g s", path, error, pause)
            time.sleep(pause)
    try:
        return ask()
    except PassingError as error:
        raise UnreachableError(
            f"{path}: {path.server} does not answer ({len(PAUSES_S) + 1} attempts in {sum(PAUSES_S):g} s; the last "
            f"one: {error}). Check address, network and server, or copy the files to a disk."
        ) from error
