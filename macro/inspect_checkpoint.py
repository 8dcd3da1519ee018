"""Verify a checkpoint and say what it holds, such as artifacts/my_run/checkpoint_best.pth."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.cli.entry import EXIT_DONE, run_command

if TYPE_CHECKING:
    from torch import Tensor

    from lib.training.saving.checkpoint import Checkpoint


def main(arguments: Sequence[str]) -> int:
    """Parse, verify, tell."""
    options = _parse(arguments)
    # Torch takes seconds to import; the help need not wait for it.
    from lib.training.saving.checkpoint import Checkpoint  # noqa: PLC0415

    content = describe(Checkpoint.load(options.checkpoint), options.checkpoint)
    print(json.dumps(content, allow_nan=False) if options.json else as_text(content))
    return EXIT_DONE


def describe(checkpoint: "Checkpoint", path: Path) -> dict[str, Any]:
    """Return what a verified checkpoint holds, as JSON can hold it; numbers that are not finite become text."""
    weights = checkpoint.model
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "seal": "SHA-256 verified",
        "kind": checkpoint.kind,
        "epochs_done": checkpoint.epochs_done,
        "batches_done": checkpoint.batches_done,
        "steps_done": checkpoint.steps_done,
        "best": _plain(checkpoint.best),
        "run_key": checkpoint.run_key,
        "parameters": {
            "tensors": len(weights),
            "values": sum(weight.numel() for weight in weights.values()),
            "bytes": _bytes(weights),
            "average_bytes": _bytes(checkpoint.average),
        },
        "metrics": {name: _plain(value) for name, value in sorted(checkpoint.metrics.items())},
        "normalization": checkpoint.about.get("normalization", {}),
        "about": {name: value for name, value in checkpoint.about.items() if name != "normalization"},
        "config": checkpoint.config,
    }


def as_text(content: dict[str, Any]) -> str:
    """Return the description as lines ``key: value``, sections indented."""
    return "\n".join(_lines(content, ""))


def _lines(section: dict[str, Any], indent: str) -> list[str]:
    lines = []
    for name, value in section.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name}: {value}")
    return lines


def _bytes(tensors: "dict[str, Tensor]") -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python macro/inspect_checkpoint.py", description=__doc__)
    parser.add_argument("checkpoint", type=Path, metavar="CKPT", help="checkpoint of a training")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
