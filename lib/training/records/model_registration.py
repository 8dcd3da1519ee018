"""Registering a model in MLflow that was exported after its training."""

from pathlib import Path

from lib.errors import ConfigError
from lib.training.records.mlflow_model import save_model_folder
from lib.training.records.mlflow_store import MlflowStore
from lib.training.records.tracking import tracking_uri


def register_export(onnx_path: Path, run_key: str, experiment: str, name: str) -> str:
    """Make an exported file the model of the run that trained it, and a version of a registered model.

    Args:
        onnx_path: The file; its folder gets one that MLflow can load.
        run_key: Key of the run, from its checkpoint.
        experiment: Experiment of the run.
        name: Registered model.

    Returns:
        Number of the version.

    Raises:
        ConfigError: If the store does not have the run or cannot be used.
    """
    uri = tracking_uri()
    store = MlflowStore(uri, experiment)
    try:
        run_id = store.find_run(run_key)
        if run_id is None:
            raise ConfigError(
                f"{uri}: experiment {experiment!r} has no run of this checkpoint. Go to the folder it was trained in, "
                "set MLFLOW_TRACKING_URI, or send the run by macro/replay_journal.py."
            )
        folder = save_model_folder(onnx_path)
        store.log_artifact(run_id, folder)
        return store.register_model(run_id, name, folder.name, {})
    except store.failures() as error:
        raise ConfigError(f"{uri}: cannot be used ({error}). Set MLFLOW_TRACKING_URI, or try again later.") from error
