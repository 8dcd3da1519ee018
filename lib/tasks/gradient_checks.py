"""Whether gradients reach every part of a model, and whether its units live."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lib.tasks.trial import Trial, Verdict, score

EVENTS = 16
# A row of a weight matrix is a unit; below this share of the mean gradient of its matrix it does not learn.
DEAD_SHARE = 1e-6
MOST_DEAD = 0.5
LOSS_PREFIX = "loss_"
ENCODER = "encoder."


def gradient_checks(trial: Trial) -> Iterator[Verdict]:
    """Yield what the gradient of one batch shows."""
    model = trial.build().train()
    yield _frozen(model, trial)
    yield _each_loss(model, trial)
    model.zero_grad()
    loss = score(trial, model, trial.train.rows(0, EVENTS)).loss
    if loss.requires_grad:
        loss.backward()
    yield _each_group(model)
    yield _dead_units(model)


def _frozen(model: nn.Module, trial: Trial) -> Verdict:
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    allowed = [name for name in frozen if trial.encoder_is_frozen and name.startswith(ENCODER)]
    number = len(frozen) - len(allowed)
    words = "frozen parameters that model.freeze_encoder does not ask for; expected none." + _named(
        [name for name in frozen if name not in allowed]
    )
    return Verdict("frozen parameters", number == 0, number, words)


def _each_loss(model: nn.Module, trial: Trial) -> Verdict:
    """Look whether the loss of each target, or of all sensors, pulls at the encoder; at the heads of a frozen one."""
    output = score(trial, model, trial.train.rows(0, EVENTS))
    parameters = [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (trial.encoder_is_frozen or name.startswith(ENCODER))
    ]
    losses = {target.name: output.sums[LOSS_PREFIX + target.name][0] for target in trial.targets}
    silent = [name for name, loss in (losses or {"the loss": output.loss}).items() if not _pull(loss, parameters)]
    words = "losses whose gradient does not arrive at the encoder; expected none." + _named(silent)
    return Verdict("gradient of each loss", not silent, len(silent), words)


def _pull(loss: Tensor, parameters: list[nn.Parameter]) -> float:
    """Return the norm of the gradient of a loss."""
    if not loss.requires_grad or not parameters:
        return 0.0
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return sum(float(one.square().sum()) for one in gradients if one is not None) ** 0.5


def _each_group(model: nn.Module) -> Verdict:
    """Look at each module that owns parameters; a single vector, such as a bias before a mean, may get none."""
    groups: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            group = name.rpartition(".")[0] or name
            size = 0.0 if parameter.grad is None else float(parameter.grad.abs().sum())
            groups[group] = groups.get(group, 0.0) + size
    silent = [name for name, size in groups.items() if not 0.0 < size < float("inf")]
    words = f"of {len(groups)} modules with weights get no finite gradient; expected none." + _named(silent)
    return Verdict("gradient of each module", not silent and bool(groups), len(silent), words)


def _dead_units(model: nn.Module) -> Verdict:
    """Look for the matrix with the largest share of units that a ReLU, or a GELU far below zero, has silenced."""
    worst, where = 0.0, ""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.grad is not None and parameter.ndim >= 2:
            sizes = parameter.grad.flatten(1).abs().sum(dim=1)
            dead = float((sizes <= DEAD_SHARE * sizes.mean()).float().mean())
            if dead > worst:
                worst, where = dead, name
    words = f"share of the units without a gradient in the worst matrix; expected at most {MOST_DEAD}." + (
        _named([where]) if where else ""
    )
    return Verdict("dead units", worst <= MOST_DEAD, worst, words)


def _named(names: list[str]) -> str:
    """Return the first names, as the end of a sentence."""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f" Here: {shown}." if names else ""
