"""The exported regressor of the export's own tests, for macros that need one."""

from tests.export.conftest import logged_export, regressor_checkpoint, report, shared_folder

__all__ = ["logged_export", "regressor_checkpoint", "report", "shared_folder"]
