"""Measure the training of several processes joined by gloo against that of one, in turns, one thread each.

All take whole steps of the training loop on the same batch from memory: forward and backward pass, sum of gradients,
guard, optimizer. While one side works the other waits without using a core, and the ratio is the median over the turns.

Example: python macro/benchmark_distributed.py --json
"""

import multiprocessing
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import torch.distributed as dist

from lib.cli.assembly import assemble
from lib.cli.benchmark_command import benchmark_parser, print_rows
from lib.cli.entry import EXIT_DONE, run_command
from lib.cli.schemas import SCHEMAS
from lib.config.document import read_document
from lib.config.loading import validate
from lib.config.overrides import apply_overrides
from lib.data.batch import EventBatch
from lib.data.normalization import Normalization
from lib.data.trees.schema import BRANCH_WIDTHS
from lib.evaluation.benchmark_row import BenchmarkRow, machine_context
from lib.geometry.sensors import NUM_SENSORS
from lib.training.trainer import Trainer

REQUIRED_GAIN = 1.7
"""Of two ranks on two cores."""
MEETING_SECONDS = 300


@dataclass(frozen=True)
class Work:
    """What every process trains.

    Attributes:
        kind: Of model.
        config: Its configuration.
        batch: Events of a step, over all ranks.
        steps: Steps of a turn.
    """

    kind: str
    config: Path
    batch: int
    steps: int


class SameBatch:
    """Gives one batch again and again; how long a step takes does not depend on what is in it."""

    def __init__(self, batch: EventBatch, batches_per_epoch: int) -> None:
        self.batches_per_epoch = batches_per_epoch
        self._batch = batch

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[EventBatch]:  # noqa: ARG002 - the signature of streams
        """Yield the batch as often as an epoch has batches."""
        for _ in range(first_batch, self.batches_per_epoch):
            yield self._batch


def random_batch(normalization: Normalization, num_events: int) -> EventBatch:
    """Return events of random light."""
    generator = torch.Generator().manual_seed(0)
    npho = 3000.0 * torch.rand(num_events, NUM_SENSORS, generator=generator)
    time_s = 1e-7 * torch.rand(num_events, NUM_SENSORS, generator=generator)
    x, valid = normalization.apply(npho, time_s)
    truth = {name: 0.01 + torch.rand(num_events, width, generator=generator) for name, width in BRANCH_WIDTHS.items()}
    numbers = torch.arange(num_events)
    return EventBatch(x, valid, truth, numbers, numbers, torch.ones(num_events), seed=0)


def build_trainer(work: Work) -> Trainer[EventBatch]:
    """Return a training whose epochs are turns."""
    settings = ["training.grad_accum_steps=1", "training.compile=none", "training.health.enabled=false"]
    config = validate(SCHEMAS[work.kind], apply_overrides(read_document(work.config), settings))
    normalization = Normalization.from_config(config.normalization)
    torch.manual_seed(0)
    parts = assemble(config, normalization)
    batch = random_batch(normalization, work.batch)
    return Trainer[EventBatch](
        parts.model,
        parts.task,
        train=SameBatch(batch, work.steps),
        validation=SameBatch(batch.rows(0, min(work.batch, 8)), 1),
        config=config.training,
    )


def serve(work: Work, rank: int, ranks: int, meeting: str, orders: Connection) -> None:
    """Train one turn for each order and answer with its rate in events per second; None ends the process."""
    torch.set_num_threads(1)
    if ranks > 1:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    trainer = build_trainer(work)
    while orders.recv():
        orders.send(trainer.run_epoch()["train/events_per_second"])
    if ranks > 1:
        dist.destroy_process_group()


class Team:
    """Processes that train together when they are told to."""

    def __init__(self, work: Work, ranks: int, meeting: Path) -> None:
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(ranks)]
        self._orders = [own for own, _ in pipes]
        self._processes = [
            context.Process(target=serve, args=(work, rank, ranks, str(meeting), theirs), daemon=True)
            for rank, (_, theirs) in enumerate(pipes)
        ]
        for process in self._processes:
            process.start()

    def rate(self) -> float:
        """Let them train one turn and return events per second."""
        for orders in self._orders:
            orders.send(True)
        return statistics.mean(orders.recv() for orders in self._orders)

    def dismiss(self) -> None:
        """End them."""
        for orders in self._orders:
            orders.send(False)
        for process in self._processes:
            process.join(MEETING_SECONDS)


def measure(work: Work, ranks: int, turns: int) -> tuple[list[float], list[float]]:
    """Return the rates of one process and of several, turn by turn."""
    with tempfile.TemporaryDirectory() as folder:
        teams = Team(work, 1, Path(folder) / "one"), Team(work, ranks, Path(folder) / "several")
        for team in teams:
            # The first turn chooses algorithms and fills caches.
            team.rate()
        rates = [[team.rate() for team in teams] for _ in range(turns)]
        for team in teams:
            team.dismiss()
    return [one for one, _ in rates], [several for _, several in rates]


def main(arguments: Sequence[str]) -> int:
    """Print one row for one process and one for several."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--kind", choices=sorted(SCHEMAS), default="regressor", help="model (default: regressor)")
    parser.add_argument("--config", type=Path, help="its configuration (default: configs/<kind>/quickstart.yaml)")
    parser.add_argument("--ranks", type=int, default=2, help="processes that train together (default: 2)")
    parser.add_argument("--batch", type=int, default=256, help="events of a step, over all of them (default: 256)")
    parser.add_argument("--steps", type=int, default=8, help="steps of a turn (default: 8)")
    parser.add_argument("--turns", type=int, default=9, help="turns of each side (default: 9)")
    options = parser.parse_args(arguments)
    config = options.config or Path(f"configs/{options.kind}/quickstart.yaml")
    work = Work(options.kind, config, options.batch, options.steps)
    one, several = measure(work, options.ranks, options.turns)
    gains = [second / first for first, second in zip(one, several, strict=True)]
    context = machine_context() | {"batch": work.batch, "config": str(config), "threads": 1}
    count = options.turns * work.steps * work.batch
    single = statistics.median(one)
    rows = [
        BenchmarkRow("distributed.one_process", single, "events/s", n=count, context=context),
        # The median of ratios of neighbouring turns: what slows the machine down slows both.
        BenchmarkRow(
            f"distributed.{options.ranks}_ranks",
            statistics.median(gains) * single,
            "events/s",
            error=statistics.stdev(gains) * single / len(gains) ** 0.5 if len(gains) > 1 else None,
            reference=single,
            n=count,
            context=context | {"backend": "gloo", "required_ratio_of_two": REQUIRED_GAIN},
        ),
    ]
    print_rows(rows, as_json=options.json)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
