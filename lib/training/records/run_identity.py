"""Who a run is, kept in its folder so that its journal can be sent to MLflow at any later time."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lib.atomic import atomic_path
from lib.errors import DataError, nearest

IDENTITY_NAME = "run.json"


@dataclass(frozen=True)
class RunIdentity:
    """How a run appears in MLflow.

    Attributes:
        experiment: Experiment that collects runs.
        run_name: Name of the run.
        key: Tells this run from all others; a run that is there already under this key is continued.
        parameters: Settings, flat.
        tags: What else the run is found by.
    """

    experiment: str
    run_name: str
    key: str
    parameters: dict[str, str]
    tags: dict[str, str]


def save_identity(folder: Path, identity: RunIdentity, status: str) -> None:
    """Write down who a run is and how it ended: RUNNING, FINISHED, FAILED or KILLED."""
    with atomic_path(folder / IDENTITY_NAME) as path:
        path.write_text(json.dumps({"status": status, **asdict(identity)}, indent=1) + "\n", encoding="utf-8")


def load_identity(folder: Path) -> tuple[RunIdentity, str]:
    """Return what ``save_identity`` wrote.

    Raises:
        DataError: If the folder holds no run.
    """
    path = folder / IDENTITY_NAME
    if not path.is_file():
        runs = [found.parent.name for found in folder.absolute().parent.glob(f"*/{IDENTITY_NAME}")]
        raise DataError(
            f"{folder}: no folder of a run, which would hold {IDENTITY_NAME}; nearest in {folder.absolute().parent}: "
            f"{nearest(folder.name, runs)}."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        status = str(content.pop("status"))
        return RunIdentity(**content), status
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: does not say which run this is ({error}). Give the folder of a run.") from error
