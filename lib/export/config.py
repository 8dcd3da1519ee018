"""Settings of what a training exports."""

from lib.config import Section


class ExportConfig(Section):
    """What is exported when a training ends."""

    onnx: bool = False
    """Write the best model as <run_name>.onnx beside its checkpoint."""
