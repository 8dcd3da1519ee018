"""Puts a training that has left its course back to an older state.

Weights, averages, moments and the guard's statistics go back. The position does not: epochs, steps, learning-rate
schedule and the order of events go on, so that no epoch is told twice and every batch of an epoch is either trained on
once or counted as passed over. Older states are kept in host memory and in checkpoints, at steps that depend on the
course of the training alone, so a run that is killed goes back to the very same state.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from lib.training.stability.course import Course
from lib.training.stability.guard_config import GuardConfig

logger = logging.getLogger(__name__)


class RollbackCapError(Exception):
    """The training went back so often that it is not worth its time."""


@dataclass(frozen=True)
class RollbackReport:
    """What is written down about going back.

    Attributes:
        step: Optimizer step at which it happened, counted from 0.
        to_step: Step of the state that was gone back to; the steps between the two are left behind.
        reason: Why, in words.
        epoch: Epoch under way, counted from 0.
        first_batch: First batch of the epoch that is passed over.
        passed_over: Batches that are passed over.
        count: How many times the training went back since its last best validation loss, this time included.
    """

    step: int
    to_step: int
    reason: str
    epoch: int
    first_batch: int
    passed_over: int
    count: int

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        return asdict(self)


@dataclass(frozen=True)
class KeptState:
    """The state of a training after some steps.

    Attributes:
        step: How many.
        content: Tensors in host memory and plain values, by part; never changed again.
    """

    step: int
    content: dict[str, Any]


class Rollback:
    """Keeps states to go back to, and decides when to.

    Attributes:
        course: What the decisions rest on.
        kept: States to go back to, the oldest first.
    """

    def __init__(self, config: GuardConfig) -> None:
        self._config = config.rollback
        self._enabled = config.enabled and config.rollback.enabled
        self.course = Course(config)
        self.kept: list[KeptState] = []
        self._count = 0
        # Steps at which reduced learning rates begin.
        self._reduced_from: list[int] = []

    def learning_rate_factor(self, step: int) -> float:
        """Return the factor on the learning rate of a step; cuts that overlap multiply."""
        active = sum(begin <= step < begin + self._config.lr_steps for begin in self._reduced_from)
        return self._config.lr_factor**active

    def keep_if_due(self, step: int, content: Callable[[], dict[str, Any]]) -> None:
        """Keep the state after so many steps if it is time and nothing looks like trouble.

        Args:
            step: Finished steps.
            content: Returns the state; it is copied to host memory.
        """
        is_due = not self.kept or step - self.kept[-1].step >= self._config.keep_every
        if not (self._enabled and is_due and self.course.is_steady):
            return
        # Of those that are old enough already only the newest can ever be gone back to.
        newest = self._old_enough(step)[-1:]
        young = [state for state in self.kept if step - state.step < self._config.min_age]
        self.kept = [*newest, *young, KeptState(step, copied(content()))]

    def go_back(self, step: int) -> KeptState | None:
        """Return the state to go back to if the training has left its course, and count it.

        Args:
            step: Finished steps.

        Raises:
            RollbackCapError: If it went back too often already.
        """
        reason = self.course.trouble
        if not reason or not self._enabled:
            return None
        candidates = self._old_enough(step)
        if not candidates:
            logger.warning("%s, but there is no state %d steps older to go back to", reason, self._config.min_age)
            self.course.forget()
            return None
        if self._count >= self._config.max_rollbacks:
            raise RollbackCapError(
                f"{reason}, and the training went back {self._count} times since its last best validation loss "
                f"(training.guard.rollback.max_rollbacks). Lower training.lr, or look at the data of the steps in "
                "rollbacks/ and skipped_steps/ of the run's folder."
            )
        self._count += 1
        self.kept = [candidates[-1]]
        self.course.forget()
        return candidates[-1]

    def _old_enough(self, step: int) -> list[KeptState]:
        return [state for state in self.kept if step - state.step >= self._config.min_age]

    @property
    def count(self) -> int:
        """Times that the training went back since its last best validation loss."""
        return self._count

    def reduce_learning_rate(self, step: int) -> None:
        """Begin to cut the learning rate with a step."""
        self._reduced_from = [begin for begin in self._reduced_from if step < begin + self._config.lr_steps]
        self._reduced_from.append(step)

    def see_validation(self, loss: float) -> None:
        """Take in the loss of a validation; the best one so far shows that the training has recovered."""
        if self.course.see_validation(loss):
            self._count = 0

    def state_dict(self) -> dict[str, Any]:
        """Return what decisions depend on, and the states to go back to."""
        return {
            "course": self.course.state_dict(),
            "kept": [{"step": state.step, "content": state.content} for state in self.kept],
            "count": self._count,
            "reduced_from": self._reduced_from,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with what ``state_dict`` returned."""
        self.course.load_state_dict(state["course"])
        self.kept = [KeptState(one["step"], one["content"]) for one in state["kept"]]
        self._count, self._reduced_from = state["count"], list(state["reduced_from"])


def copied(content: Any) -> Any:
    """Return nested dicts and lists with every tensor copied to host memory."""
    match content:
        case torch.Tensor():
            return content.detach().to("cpu", copy=True)
        case dict():
            return {name: copied(value) for name, value in content.items()}
        case list() | tuple():
            return [copied(value) for value in content]
    return content
