"""The training loop: one for every task."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic

import torch
from torch import Tensor, nn

from lib.errors import ConfigError
from lib.training.batch_runner import BatchRunner
from lib.training.config import TrainingConfig
from lib.training.ema import WeightAverage
from lib.training.epoch_sums import EpochSums
from lib.training.finite_events import FiniteEvents
from lib.training.guard import Guard
from lib.training.machine.profiler import build_profiler
from lib.training.meters import MeanMeters
from lib.training.optimizer import build_optimizer, load_optimizer_state, set_learning_rate
from lib.training.plateau import Plateau
from lib.training.position import Progress
from lib.training.progress import EpochProgress, epoch_progress
from lib.training.protocol import B, BatchStream, Observer, Task, Unwatched, Watch
from lib.training.random_state import seed_step
from lib.training.ranks.own_time import KEPT_STEPS
from lib.training.schedule import Schedule
from lib.training.stability.rollback import Rollback, RollbackReport, copied
from lib.training.stability.skip_ledger import SkipLedger
from lib.training.stability.skip_report import Identity

logger = logging.getLogger(__name__)

LOOK_EVERY = 20


class InterruptedEpochError(Exception):
    """An epoch was left between two steps because its watch wanted so; nothing of it is lost."""


class Trainer(Generic[B]):
    """Trains a model on batches and validates it after each epoch.

    Args:
        model: What is trained; already on the device.
        task: Scores batches.
        train: Training batches, all of one shape.
        validation: Validation batches.
        config: Settings of the loop.
        observers: Watch each validation.
        identify: Tells the events of a batch, for reports about skipped steps.
        begin_epoch: Is told of each training epoch, counted from 0, before its first step. May freeze parameters that
            were trainable here, and thaw them again.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task[B],
        *,
        train: BatchStream[B],
        validation: BatchStream[B],
        config: TrainingConfig,
        observers: Sequence[Observer[B]] = (),
        identify: Callable[[B], Identity] | None = None,
        begin_epoch: Callable[[int], None] | None = None,
    ) -> None:
        self.model = model
        self.progress = Progress()
        self._task = task
        self._train = train
        self._validation = validation
        self._config = config
        self._observers = observers
        self._identify = identify
        self._begin_epoch = begin_epoch
        self._watch: Watch = Unwatched()
        trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self._parameters = list(trainable.values())
        self._device = self._parameters[0].device
        self._profiler = build_profiler(config, self._device)
        self._runner = BatchRunner(model, task, config, self._device, profiler=self._profiler)
        self._guard = Guard(config.guard, config.grad_clip, self._device, num_tensors=len(self._parameters))
        self._rollback = Rollback(config.guard)
        self._plateau = _plateau(config)
        self._sums = EpochSums()
        self._waits: deque[float] = deque(maxlen=KEPT_STEPS)
        self.optimizer = build_optimizer(
            model, lr=config.lr, weight_decay=config.weight_decay, layer_decay=config.layer_decay
        )
        self.average = WeightAverage(model, config.ema_decay) if config.ema_decay else None
        self._steps_per_epoch = train.batches_per_epoch // config.grad_accum_steps
        if self._steps_per_epoch == 0:
            raise ConfigError(
                f"training.grad_accum_steps: one step takes {config.grad_accum_steps} batches, but an epoch has "
                f"{train.batches_per_epoch}. Lower grad_accum_steps or data.batch_size."
            )
        self._skips = SkipLedger(config.guard, self._steps_per_epoch, list(trainable))

    @property
    def _schedule(self) -> Schedule:
        config = self._config
        return Schedule(
            kind=config.lr_scheduler,
            peak=config.lr,
            floor=config.lr_min,
            warmup_steps=round(config.rise_epochs * self._steps_per_epoch),
            total_steps=config.epochs * self._steps_per_epoch,
            first_step=self.progress.schedule_start,
        )

    def _learning_rate(self, step: int) -> float:
        rate = self._schedule.learning_rate(step)
        if self._plateau.factor < 1.0:
            rate = max(rate * self._plateau.factor, min(rate, self._config.lr_min))
        return rate * self._rollback.learning_rate_factor(step)

    def run_epoch(self, watch: Watch | None = None) -> dict[str, float]:
        """Train and validate one epoch, or what is left of it, and return the metrics of the whole.

        Args:
            watch: Is told of each step and may stop the epoch.

        Raises:
            SkipCapError: If too many steps had to be skipped.
            RollbackCapError: If the training left its course too often.
            InterruptedEpochError: If the watch stopped the epoch; ``state`` then is that of the last step.
        """
        self._watch = watch or Unwatched()
        epoch = self.progress.epochs_done
        self._profiler.begin()
        self._train_epoch(epoch)
        profile = self._profiler.take()
        metrics = self._named("train", self._sums.meters.means())
        metrics["lr"] = self._learning_rate(self.progress.steps_done - 1)
        metrics |= self.validate(epoch)
        self._rollback.see_validation(metrics["val/loss"])
        if self._config.lr_scheduler == "plateau":
            self._plateau.see(metrics["val/loss"])
        self._go_back()
        if profile is not None:
            logger.info("profile of epoch %d:\n%s", epoch + 1, profile.table().rstrip())
            metrics |= profile.metrics()
        metrics |= self._sums.clock_metrics() | self._sums.guard_metrics()
        self.progress.epochs_done = epoch + 1
        self.progress.batches_done = 0
        self._sums = EpochSums()
        return metrics

    def _train_epoch(self, epoch: int) -> None:
        self._watch.begins("training")
        if self._begin_epoch is not None:
            self._begin_epoch(epoch)
        self.model.train()
        done = self.progress.batches_done
        batches = self._train.epoch(epoch, done) if self._step_of_epoch < self._steps_per_epoch else iter(())
        if self.progress.steps_done == 0:
            self._rollback.keep_if_due(0, self._content)
        title = f"epoch {epoch + 1}/{self._config.epochs}"
        with epoch_progress(title, self._train.batches_per_epoch, done) as progress:
            while (step_of_epoch := self._step_of_epoch) < self._steps_per_epoch:
                set_learning_rate(self.optimizer, self._learning_rate(self.progress.steps_done))
                self._step(batches, progress)
                if step_of_epoch % LOOK_EVERY == 0:
                    self._stay_on_course(batches)
                    progress.show(f"loss {self._sums.meters.means().get('loss', float('nan')):.4g}")
                self._watch.step_done()
                self._heed()
        self._stay_on_course(batches)
        self._skips.require_learning(self._sums)

    @property
    def _step_of_epoch(self) -> int:
        return self.progress.batches_done // self._config.grad_accum_steps

    def _stay_on_course(self, batches: Iterator[B]) -> None:
        """Look at the steps since the last look, and go back or stop if they went wrong.

        What is decided here depends on the steps alone: looks in between, for a checkpoint, change nothing.
        """
        self._look()
        report = self._go_back()
        self._skips.require_few(self._sums)
        if report is None:
            self._rollback.keep_if_due(self.progress.steps_done, self._content)
            return
        for _ in range(report.passed_over):
            next(batches)
            self._heed()

    def _go_back(self) -> RollbackReport | None:
        """Return to an older state if the training has left its course, and to a place behind the next batches."""
        step, reason = self.progress.steps_done, self._rollback.course.trouble
        kept = self._rollback.go_back(step)
        if kept is None:
            return None
        self._restore(kept.content)
        self._skips.forget_row()
        first_batch = self.progress.batches_done
        steps = min(
            self._config.guard.rollback.pass_over // self._config.grad_accum_steps,
            self._steps_per_epoch - self._step_of_epoch,
        )
        passed_over = steps * self._config.grad_accum_steps
        self.progress.batches_done += passed_over
        self.progress.steps_done += steps
        self._rollback.reduce_learning_rate(self.progress.steps_done)
        self._sums.count_rollback(step - kept.step, passed_over)
        place = self.progress.epochs_done, first_batch, passed_over
        report = RollbackReport(step, kept.step, reason, *place, self._rollback.count)
        self._watch.went_back(report)
        logger.warning(
            "%s: back to the state after step %d of %d, past the next %d batches", reason, kept.step, step, passed_over
        )
        return report

    def _content(self) -> dict[str, Any]:
        """Return what a step changes: weights, averages, moments, what the guard knows."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict() if self.average else {},
            "optimizer": self.optimizer.state_dict(),
            "guard": self._guard.state_dict(),
        }

    def _restore(self, content: dict[str, Any]) -> None:
        self.model.load_state_dict(content["model"])
        # The optimizer takes over tensors as they are, and would change the kept state with each step.
        load_optimizer_state(self.optimizer, copied(content["optimizer"]))
        if self.average is not None:
            self.average.load_state_dict(content["average"])
        self._guard.load_state_dict(content["guard"])

    def _step(self, batches: Iterator[B], progress: EpochProgress) -> None:
        """Take one optimizer step over an accumulation window."""
        begin, waited = time.perf_counter(), self._sums.waiting
        window = self._runner.accumulate(self._timed(batches), self._begin_step, self.progress.steps_done)
        with self._profiler.section("logging"):
            for batch, output in zip(window.batches, window.outputs, strict=True):
                finite = self._guard.see_loss(output.loss)
                self._sums.meters.add(output.sums, included=finite)
                self._sums.events += batch.num_events
                progress.advance(batch.num_events)
            identify = self._identify
            numbers = [identify(batch) if identify else {} for batch in window.batches]
            self._skips.note(self.progress.steps_done, numbers)
        with self._profiler.section("optimizer"):
            self._apply(self._guard.judge(self._parameters))
        self._profiler.step_done(sum(batch.num_events for batch in window.batches))
        self._sums.seconds += time.perf_counter() - begin
        self._waits.append(self._sums.waiting - waited)

    def write_profile(self, folder: Path) -> list[Path]:
        """Write what was measured of the last epoch to a folder; return the files, none without profiling."""
        return self._profiler.write(folder)

    def execution(self) -> dict[str, str]:
        """Return how the model is run by now, as tags of a run."""
        return self._runner.execution()

    def step_seconds(self) -> dict[str, list[float]]:
        """Return what the last steps took this process by phase, without waiting for others, and forget it."""
        waits, self._waits = list(self._waits), deque(maxlen=KEPT_STEPS)
        return {"reading data": waits, "computing": self._runner.own_seconds()}

    def held_alike(self) -> dict[str, list[Tensor]]:
        """Return what all ranks must hold alike between two steps: parameters, losses, states of random generators."""
        states = [torch.get_rng_state()]
        if self._device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self._device))
        losses = [*self._sums.meters.state_dict().values()]
        return {"parameters": [one.data for one in self._parameters], "losses": losses, "random numbers": states}

    def _begin_step(self) -> None:
        seed_step(self._config.seed, self.progress.steps_done)
        # Gradients that lie where they lay may be added to by graphs that replay.
        self.optimizer.zero_grad(set_to_none=self._device.type == "cpu")

    def _timed(self, batches: Iterator[B]) -> Iterator[B]:
        """Yield the batches and note how long each was waited for."""
        while True:
            start = time.perf_counter()
            with self._profiler.section("data_load"):
                batch = next(batches)
            self._sums.waiting += time.perf_counter() - start
            yield batch

    def _look(self) -> None:
        """Read what the guard decided on the last steps; the only wait for the device."""
        with self._profiler.section("logging"):
            record = self._guard.drain()
        if record is not None:
            self._sums.count(record)
            self._rollback.course.see(record)
            for report in self._skips.reports(record):
                self._watch.step_skipped(report)

    def _heed(self) -> None:
        if self._watch.must_stop():
            raise InterruptedEpochError

    def _apply(self, accepted: Tensor) -> None:
        # The fused optimizer reads these two on the device and leaves everything as it was where found_inf is 1.
        self.optimizer.grad_scale = torch.ones((), device=self._device)  # type: ignore[attr-defined]
        self.optimizer.found_inf = 1.0 - accepted  # type: ignore[attr-defined]
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.progress.steps_done, accepted)
        self.progress.steps_done += 1
        self.progress.batches_done += self._config.grad_accum_steps

    def validate(self, epoch: int) -> dict[str, float]:
        """Return the validation metrics of the averaged weights, or of the trained ones without averaging.

        Raises:
            InterruptedEpochError: If the watch wanted so; the trained weights are back in the model then.
        """
        if self.average is None:
            return self._validate(epoch, self._observers)
        trained: dict[str, float] = {}
        if self._config.validate_trained_weights:
            found = self._validate(epoch, observers=())
            trained = {f"val_trained/{name.removeprefix('val/')}": value for name, value in found.items()}
        with self.average.swapped():
            return self._validate(epoch, self._observers) | trained

    @torch.no_grad()
    def _validate(self, epoch: int, observers: Sequence[Observer[B]]) -> dict[str, float]:
        self._watch.begins("validation")
        self.model.eval()
        meters, finite = MeanMeters(), FiniteEvents[B](self._runner.evaluate_eagerly)
        with epoch_progress("validation", self._validation.batches_per_epoch) as progress:
            # Validation always sees the order and the masks of epoch 0, so that its metrics can be compared.
            for batch in self._validation.epoch(0):
                for part, output in finite.parts(batch, self._runner.evaluate(batch)):
                    meters.add(output.sums)
                    for observer in observers:
                        observer.validation_batch(part, output)
                progress.advance(batch.num_events)
                self._heed()
        metrics = self._named("val", meters.means())
        metrics = {name: value for name, value in metrics.items() if name not in self._task.run_metrics}
        left_out, seen = finite.left_out, finite.seen
        if left_out:
            logger.warning("%d of %d validation events are not finite and left out of all means", left_out, seen)
        if left_out < seen:
            for observer in observers:
                metrics |= observer.validation_end(epoch)
        return {"val/loss": math.nan, **metrics, "val/nonfinite_events": float(left_out)}

    def _named(self, split: str, means: dict[str, float]) -> dict[str, float]:
        bare = self._task.run_metrics
        return {name if name in bare else f"{split}/{name}": value for name, value in means.items()}

    def state(self) -> dict[str, Any]:
        """Return weights, averages, optimizer, guard and the sums of the epoch under way, as checkpoints hold them."""
        self._look()
        content = self._content()
        beside = {
            "skips": self._skips.state_dict(),
            "rollback": self._rollback.state_dict(),
            "plateau": self._plateau.state_dict(),
        }
        return {**content, "guard": {**content["guard"], **beside}, "epoch_sums": self._sums.state_dict()}

    def load_guard(self, state: dict[str, Any]) -> None:
        """Go on with the guard's knowledge of a saved run."""
        statistics = dict(state)
        for part, known in (("skips", self._skips), ("rollback", self._rollback), ("plateau", self._plateau)):
            if part in statistics:
                known.load_state_dict(statistics.pop(part))
        self._guard.load_state_dict(statistics)

    def restart_schedule(self) -> None:
        """Begin the course of the learning rate anew: forget for how long the loss has not fallen."""
        self._plateau = _plateau(self._config)

    def forget_kept_states(self) -> None:
        """Know no older states and no earlier returns to them: steps are counted from 0 again."""
        self._rollback = Rollback(self._config.guard)

    def load_epoch_sums(self, state: dict[str, Any]) -> None:
        """Go on with the sums of an epoch that was left under way."""
        self._sums.load_state_dict(state, self._device)


def _plateau(config: TrainingConfig) -> Plateau:
    patience, factor = config.plateau_patience, config.plateau_factor
    return Plateau(5 if patience is None else patience, 0.5 if factor is None else factor)
