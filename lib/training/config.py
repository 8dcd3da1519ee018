"""Settings of the training loop, of checkpoints and of tracking."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from lib.config import Section
from lib.training.stability.guard_config import GuardConfig
from lib.training.stability.health_config import HealthConfig
from lib.training.supervision.supervision_config import MemoryConfig, WatchdogConfig

Precision = Literal["none", "bf16"]
CompileMode = Literal["none", "default", "reduce-overhead", "max-autotune"]
CompileSetting = CompileMode | Literal["auto"]
MicroBatch = Literal["auto"] | Annotated[int, Field(ge=1)]

_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,127}")


class TrainingConfig(Section):
    """How a model is trained, whatever it learns."""

    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of initialization, order of events, masks and dropout."""
    epochs: int = Field(20, ge=1)
    """Passes over the training events."""
    lr: float = Field(3e-4, gt=0)
    """Peak learning rate."""
    lr_scheduler: Literal["cosine", "onecycle", "plateau", "none"] = "cosine"
    """Course of the learning rate: after warm-up a half cosine down to lr_min (cosine), constant (none), or constant
    and lower whenever the validation loss no longer falls (plateau); onecycle rises along a half cosine first."""
    lr_min: float = Field(1e-6, ge=0)
    """Learning rate at the end of the cosine."""
    warmup_epochs: float | None = Field(None, ge=0)
    """Epochs of linear rise from 0; fractions count. By default 1; for onecycle 0.3 of all epochs, from lr / 25."""
    plateau_patience: int | None = Field(None, ge=0)
    """Epochs without a new lowest validation loss before plateau lowers the learning rate; by default 5."""
    plateau_factor: float | None = Field(None, gt=0, lt=1)
    """What plateau multiplies the learning rate with, never below lr_min; by default 0.5."""
    weight_decay: float = Field(0.05, ge=0)
    """Decoupled decay of weight matrices; norms, biases and embeddings are exempt."""
    layer_decay: float | None = Field(None, gt=0, le=1)
    """Factor of the learning rate from the heads to the last layer of the fusion, from there to each layer before, and
    to the networks of the faces: for fine-tuning, where what was pretrained should change less than the heads. A
    resumed run takes its new value, but cannot begin or cease to have one. null for one rate."""
    amp: Precision | bool = "bf16"
    """Autocast of matrix products: bf16 (or true), none (or false)."""
    compile: CompileSetting | bool = "auto"
    """Mode of torch.compile; where it fails, the next simpler one is tried, down to none. auto: reduce-overhead on a
    GPU, none on a CPU, where compiling takes minutes and brings nothing. false is none, true is default."""
    compile_fullgraph: bool = False
    """Refuse graph breaks when compiling."""
    compile_probe: bool = True
    """Let a child process try the compiler before the training trusts it; the answer is kept for each machine."""
    activation_checkpointing: bool = False
    """Keep only what goes into each block and compute the rest again in the backward pass: a third more time for a
    fraction of the memory."""
    ema_decay: float = Field(0.999, ge=0, lt=1)
    """Decay per step of the averaged weights that are validated and exported; 0 switches averaging off."""
    validate_trained_weights: bool = False
    """Validate the weights as they were trained, too, beside the averaged ones: losses as val_trained/loss."""
    grad_clip: float | None = Field(1.0, gt=0)
    """Ceiling of the gradient norm; null for none."""
    grad_accum_steps: int = Field(1, ge=1)
    """Batches whose gradients make one step."""
    micro_batch: MicroBatch = "auto"
    """Events that go through the model at a time; the gradient stays that of the whole batch. auto: all of them on a
    GPU, on a CPU as many as stay in its cache."""
    cpu_threads: int | None = Field(None, ge=1)
    """Threads that compute where there is no GPU; by default OMP_NUM_THREADS or one per core, and on resume as many as
    before: their number is in the last bits of every gradient."""
    profile: bool = False
    """Measure where the time of the steps goes, and write a table and metrics for each epoch."""
    profile_trace: bool = False
    """Also trace three steps for chrome://tracing."""
    auto_batch: bool = False
    """When a step does not fit into memory, halve micro_batch and take the step again, instead of ending the run; the
    gradient stays the same."""
    health: HealthConfig = HealthConfig()
    """Looking at each validation whether anything is learnt."""
    guard: GuardConfig = GuardConfig()
    """Clipping and skipping of gradients far above those before."""
    watchdog: WatchdogConfig = WatchdogConfig()
    """Noticing a hang."""
    memory: MemoryConfig = MemoryConfig()
    """Noticing that the host runs out of memory."""

    @model_validator(mode="after")
    def _fits(self) -> "TrainingConfig":
        if self.lr_min > self.lr:
            raise ValueError(f"lr_min must not exceed lr ({self.lr})")
        if self.rise_epochs > self.epochs:
            raise ValueError(f"warmup_epochs must not exceed epochs ({self.epochs})")
        if self.lr_scheduler != "plateau" and (self.plateau_patience, self.plateau_factor) != (None, None):
            raise ValueError("plateau_patience and plateau_factor belong to lr_scheduler plateau; remove them")
        if self.validate_trained_weights and not self.ema_decay:
            raise ValueError("validate_trained_weights compares with averaged weights, and ema_decay 0 keeps none")
        return self

    @property
    def rise_epochs(self) -> float:
        """Epochs of the rise, with the default of each scheduler."""
        if self.warmup_epochs is not None:
            return self.warmup_epochs
        return 0.3 * self.epochs if self.lr_scheduler == "onecycle" else 1.0

    @property
    def precision(self) -> Precision:
        """The autocast type, with booleans translated."""
        if isinstance(self.amp, bool):
            return "bf16" if self.amp else "none"
        return self.amp

    @property
    def compile_mode(self) -> CompileSetting:
        """The compile mode, with booleans translated."""
        if isinstance(self.compile, bool):
            return "default" if self.compile else "none"
        return self.compile


class CheckpointConfig(Section):
    """Where a run keeps its files, and from what it starts."""

    save_dir: Path = Path("artifacts")
    """Folder in which each run has its own."""
    save_interval: int = Field(1, ge=1)
    """Epochs between writings of checkpoint_last.pth; the best one is written whenever it improves."""
    save_minutes: float | None = Field(15.0, gt=0)
    """Minutes between writings of checkpoint_last.pth inside an epoch; null for none."""
    save_steps: int | None = Field(None, ge=1)
    """Steps between writings of checkpoint_last.pth inside an epoch; null leaves it to save_minutes."""
    keep_last: int = Field(2, ge=0)
    """Earlier positions that are kept as checkpoint_step_<N>.pth beside checkpoint_last.pth, to go back to by hand;
    0 keeps none."""
    keep_spacing: int = Field(100, ge=1)
    """Steps between two of these at least."""
    resume_from: str | None = None
    """Checkpoint to go on from, with optimizer and position in the epoch; auto takes this run's last one if there is
    one, and starts anew (from init_from, if given) if not."""
    init_from: Path | None = None
    """Checkpoint whose weights are taken where they fit, such as a pretrained encoder."""
    refresh_lr: bool = False
    """On resume, start the learning-rate schedule anew over the epochs that are left; once in the life of a run."""
    reset_epoch: bool = False
    """On resume, keep weights and optimizer but count epochs from 0; once in the life of a run."""
    new_mlflow_run: bool = False
    """On resume, open a new MLflow run instead of going on with the old one; once in the life of a run."""
    save_artifacts: bool = True
    """Write predictions and figures of the best epoch when the training ends."""
    compare_conventional: bool = True
    """With save_artifacts, fit the conventional reconstruction to 4000 training events and reconstruct the validation
    events with it, for comparison on the page of the run; 0.7 ms of one core per event."""
    save_predictions: bool = False
    """Write every hidden sensor of a validation, truth and prediction, as <kind>_predictions_epoch_<N>.root, for MAE
    and inpainter. Memory stays flat, the file grows by about 40 bytes for each sensor."""
    root_save_interval: int = Field(10, ge=1)
    """Epochs between these files; the last epoch has one, too."""

    @model_validator(mode="after")
    def _fits(self) -> "CheckpointConfig":
        if self.init_from and self.resume_from not in {None, "auto"}:
            raise ValueError("resume_from continues a run and init_from starts one; give one of them, or auto")
        return self


class MlflowConfig(Section):
    """Under which names a run is found; the store is MLFLOW_TRACKING_URI, by default sqlite:///mlruns.db."""

    experiment: str = Field("xec", min_length=1)
    """Experiment that collects runs."""
    run_name: str | None = None
    """Name of the run and of its folder; by default the kind of training, date and time."""
    tags: dict[str, str] = Field(default_factory=dict)
    """Tags that the run is found by beside those that every run has."""
    registered_model: str | None = Field(None, pattern=r"^[\w.+=-]{1,128}$")
    """Model in MLflow's registry that exported files become versions of; by default <experiment>_<kind>."""

    def model_name(self, kind: str) -> str:
        """Return the registered model that the export of a run becomes a version of.

        Args:
            kind: mae, regressor or inpainter.
        """
        return self.registered_model or re.sub(r"[^\w.+=-]", "_", f"{self.experiment}_{kind}")

    @field_validator("run_name")
    @classmethod
    def _plain(cls, name: str | None) -> str | None:
        if name is not None and not _RUN_NAME.fullmatch(name):
            raise ValueError("a run name becomes a folder: letters, digits and . _ + = - only, at most 128")
        return name
