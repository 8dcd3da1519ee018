"""Everything about a restoration as files and text: rows, figures, tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.config.flat import config_hash
from lib.data.branches import NPHO_EXPECTED
from lib.data.config import DataConfig
from lib.data.files.paths import resolve_paths
from lib.data.normalization import Normalization
from lib.data.trees.schema import BranchPlan, check_files
from lib.errors import DataError
from lib.evaluation.drawing.figure_file import save_figures
from lib.evaluation.raw_events import RawEvents
from lib.evaluation.restoration.restoration_figures import Named, draw_analysis
from lib.evaluation.restoration.restoration_table import MODEL, RestorationTable, face_scores, format_faces, read_rows
from lib.evaluation.restoration.restoration_trial import HiddenChoice, trial_rows
from lib.evaluation.restoration.restored_rows import MASK_KINDS, RowsDescription, rows_file
from lib.evaluation.restoration.restorer import Restorer
from lib.models.config import num_channels
from lib.training.saving.checkpoint import Checkpoint


@dataclass(frozen=True)
class RestorationReport:
    """What was written.

    Attributes:
        text: Tables for people.
        paths: Rows and figures.
    """

    text: str
    paths: tuple[Path, ...]


def write_restoration_report(
    restorers: Sequence[Restorer],
    checkpoint: Checkpoint,
    data: DataConfig,
    choice: HiddenChoice,
    folder: Path,
    *,
    run_name: str,
    seed: int,
) -> RestorationReport:
    """Restore hidden and dead sensors of all events, batch by batch, and write rows and figures.

    Args:
        restorers: The model, then methods to compare with.
        checkpoint: Where the model comes from.
        data: Says which events, as its validation.
        choice: What is hidden.
        folder: Gets ``restored_<run>.root`` and ``restored_<run>.pdf``.
        run_name: See above.
        seed: Of the hidden sensors.
    """
    model, *methods = restorers
    rows_path, figures_path = (folder / f"restored_{run_name}{suffix}" for suffix in (".root", ".pdf"))
    events, rng = RawEvents(data, _expected_light(data)), np.random.default_rng(seed)
    with rows_file(rows_path, _description(checkpoint, choice)) as writer:
        for batch in events.batches():
            writer.write(trial_rows(batch, choice, model, methods, rng))
    table = read_rows(rows_path)
    save_figures(draw_analysis({name: Named(table, name) for name in table.restored}), figures_path)
    return RestorationReport(describe_table(table), (rows_path, figures_path))


def _expected_light(data: DataConfig) -> dict[str, str]:
    """Return the branch of the expected light if every file has it."""
    files = check_files(resolve_paths(data.val_path), BranchPlan.from_config(data, []))
    return {"light": NPHO_EXPECTED} if all(NPHO_EXPECTED in file.layout.branches for file in files) else {}


def _description(checkpoint: Checkpoint, choice: HiddenChoice) -> RowsDescription:
    return RowsDescription(
        normalization=Normalization.from_dict(checkpoint.about["normalization"]),
        channels=num_channels(checkpoint.config["model"]["predict_channels"]),
        mask_kind=MASK_KINDS[choice.mask_kind],
        epoch=checkpoint.epochs_done,
        config_hash=config_hash(checkpoint.config),
    )


def describe_table(table: RestorationTable) -> str:
    """Return errors and biases of model and methods by face, and how many sensors they rest on."""
    scores = {name: face_scores(table, name) for name in table.restored}
    against = "expected light" if table.is_expected else "measured photons"
    lines = [format_faces(scores, [name for name in scores if name != MODEL])]
    lines.append(
        f"{len(table.face)} hidden sensors against {against}; {table.num_dead} dead ones restored beside them\n"
    )
    return "".join(lines)


def side_by_side(sources: Sequence[Path]) -> dict[str, Named]:
    """Return the models of several files, by the names of these, and the methods of the first.

    Args:
        sources: Files of restored sensors, or folders of runs that hold some.

    Raises:
        DataError: If a folder holds none, or two sources have the same name.
    """
    tables = {_name(source): read_rows(_rows_of(source)) for source in sources}
    if len(tables) < len(sources):
        raise DataError("Two of the sources have the same name, so that their models could not be told apart.")
    first = next(iter(tables.values()))
    methods = {name: Named(first, name) for name in first.restored if name != MODEL}
    return {**{name: Named(table, MODEL) for name, table in tables.items()}, **methods}


def describe_side_by_side(shown: Mapping[str, Named]) -> str:
    """Return errors and biases by face, with the ratio of each model to the better method."""
    scores = {label: face_scores(one.table, one.name) for label, one in shown.items()}
    return format_faces(scores, [label for label, one in shown.items() if one.name != MODEL])


def _name(source: Path) -> str:
    return source.resolve().name if source.is_dir() else source.stem.removeprefix("restored_")


def _rows_of(source: Path) -> Path:
    if not source.is_dir():
        return source
    found = sorted(source.glob("*_predictions_epoch_*.root"), key=lambda path: int(path.stem.rpartition("_")[2]))
    if not found:
        raise DataError(
            f"{source}: holds no restored sensors; expected inpainter_predictions_epoch_<N>.root or "
            "mae_predictions_epoch_<N>.root, as a training with checkpoint.save_predictions writes it."
        )
    return found[-1]
