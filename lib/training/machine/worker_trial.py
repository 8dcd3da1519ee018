"""Lets two spawned processes load a few tensors; run as a child process by ``lib.training.machine.probes``."""

import torch
from torch.utils.data import DataLoader, Dataset


class TrialDataset(Dataset[torch.Tensor]):
    """Tensors of one number each."""

    def __len__(self) -> int:
        """Return how many there are."""
        return 8

    def __getitem__(self, index: int) -> torch.Tensor:
        """Return the number."""
        return torch.tensor(float(index))


def main() -> None:
    """Add up what the workers give; a wrong sum raises."""
    loader = DataLoader(TrialDataset(), batch_size=2, num_workers=2, multiprocessing_context="spawn")
    if sum(float(batch.sum()) for batch in loader) != 28.0:
        raise ArithmeticError("the workers lost a batch")


if __name__ == "__main__":
    main()
