"""From the command line of a training to its processes, one or several that torchrun started."""

import os

from lib.cli.options import TrainingOptions
from lib.cli.schemas import InpainterConfig, MaeConfig, RegressorConfig
from lib.config import load_config


def launch_training(
    schema: type[MaeConfig] | type[RegressorConfig] | type[InpainterConfig], options: TrainingOptions
) -> int:
    """Train as the options say and return the exit code; of several processes all return the same."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        config = load_config(schema, options.config, options.assignments, options.overlays)
        # Torch takes seconds to import; help and mistakes in the configuration need not wait for it.
        from lib.cli.training_run import run_training  # noqa: PLC0415

        return run_training(config)
    return _launch_rank(schema, options)


def _launch_rank(
    schema: type[MaeConfig] | type[RegressorConfig] | type[InpainterConfig], options: TrainingOptions
) -> int:
    from lib.cli.training_run import run_training  # noqa: PLC0415
    from lib.training.ranks.process_group import alike, joined_processes  # noqa: PLC0415

    with joined_processes():
        return run_training(alike(lambda: load_config(schema, options.config, options.assignments, options.overlays)))
