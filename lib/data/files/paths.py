"""From what a user writes under ``data.train_path`` to a list of files."""

from collections.abc import Sequence
from pathlib import Path

from lib.data.files.location import XROOTD_SCHEMES, InputPath, RemotePath, is_url
from lib.errors import DataError, nearest


def resolve_paths(path: str | Sequence[str]) -> list[InputPath]:
    """Return the files that one setting names, sorted by name, each file once.

    Args:
        path: A file, a folder (its ``*.root``), a glob (``**`` descends), a text file ending in ``.txt`` with one of
            these per line (``#`` comments; relative lines start at the working directory), or a list of all that.
            Files may be URLs; folders and globs too where servers can list, which is ``root://``. Whether a file
            that is named by a URL exists is found out when it is opened.

    Raises:
        DataError: Listing every entry that matches nothing, with the nearest names in its folder.
    """
    first_by_real_path: dict[InputPath, InputPath] = {}
    for file in matching_files(path):
        first_by_real_path.setdefault(file.resolve(), file)
    return sorted(first_by_real_path.values())


def matching_files(path: str | Sequence[str]) -> list[InputPath]:
    """Return the files that one setting names, sorted, repetitions included; otherwise like ``resolve_paths``."""
    entries = [path] if isinstance(path, str) else list(path)
    if not entries:
        raise DataError("No input: the list of paths is empty. Name a file, a folder or a glob.")
    files: list[InputPath] = []
    problems: list[str] = []
    for entry in entries:
        for line in _lines(entry, problems):
            try:
                found = _remote_files_of(line) if is_url(line) else _files_of(line)
            except DataError as error:
                problems.append(str(error))
                continue
            files += found
            if not found:
                problems.append(nothing_found(line))
    if problems:
        raise DataError("\n  ".join(["Input files are missing:", *problems]) if len(problems) > 1 else problems[0])
    return sorted(files)


def _lines(entry: str, problems: list[str]) -> list[str]:
    """Return the entry itself, or the lines of the text file that it names."""
    if is_url(entry):
        return [entry]
    list_file = Path(entry).expanduser()
    if list_file.suffix != ".txt" or not list_file.is_file():
        return [entry]
    try:
        stripped = [line.split("#")[0].strip() for line in list_file.read_text(encoding="utf-8").splitlines()]
    except (UnicodeDecodeError, OSError) as error:
        problems.append(f"{list_file}: cannot be read as a list of paths ({error}).")
        return []
    lines = [line for line in stripped if line]
    if not lines:
        problems.append(f"{list_file}: holds no path. Write one file, folder or glob per line.")
    return lines


def _remote_files_of(text: str) -> list[InputPath]:
    place = RemotePath(text)
    is_folder = text.endswith("/")
    # A question mark begins the query of a URL.
    if not is_folder and not any(character in text for character in "*["):
        if place.name.endswith(".txt"):
            raise DataError(f"{text}: a list of paths must lie on a disk. Copy it here.")
        return [place]
    if place.scheme not in XROOTD_SCHEMES:
        raise DataError(
            f"{text}: {place.scheme} servers have no way to list files. Name each file, for instance one per line in "
            "a text file."
        )
    # The client need not be there for those who read from disks.
    from lib.data.files.xrootd_file import match_xrootd  # noqa: PLC0415

    return [*match_xrootd(RemotePath(f"{text}*.root") if is_folder else place)]


def _files_of(text: str) -> list[InputPath]:
    place = Path(text).expanduser()
    if place.is_file():
        return [] if place.suffix == ".txt" else [place]
    if place.is_dir():
        return [file for file in place.glob("*.root") if file.is_file()]
    # A pattern that starts at the root can only be matched from there.
    matches = Path(place.anchor).glob(str(place.relative_to(place.anchor)))
    return [match for match in matches if match.is_file()]


def nothing_found(text: str) -> str:
    """Return why a path leads to no file, and what its folder holds."""
    if is_url(text):
        return f"{text}: {'the folder holds no *.root file' if text.endswith('/') else 'the pattern matches no file'}."
    place = Path(text).expanduser()
    if place.suffix == ".txt" and place.is_file():
        return f"{place}: a list of paths may not name another list. Write its lines here."
    if place.is_dir():
        return f"{place}: the folder holds no *.root file; it holds: {nearest('.root', _names_in(place))}."
    if any(character in text for character in "*?["):
        return (
            f"{text}: the pattern matches no file. In {_parent(place)}: {nearest(place.name, _names_in(place.parent))}."
        )
    if not place.parent.is_dir():
        return f"{text}: no such file, nor its folder {place.parent}."
    return f"{text}: no such file. Nearest in {_parent(place)}: {nearest(place.name, _names_in(place.parent))}."


def _parent(place: Path) -> Path:
    return place.parent.absolute()


def _names_in(folder: Path) -> list[str]:
    return [child.name for child in folder.iterdir()] if folder.is_dir() else []
