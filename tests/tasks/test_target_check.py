import pytest

from lib.tasks.config import TasksConfig
from lib.tasks.target_check import odd_betas
from lib.tasks.targets import enabled_targets


def faults(name, **settings):
    tasks = TasksConfig.model_validate({name: settings})
    (target,) = enabled_targets(tasks)
    return list(odd_betas(target, tasks.enabled()[name]))


def test_a_beta_of_another_unit_is_noticed():
    (fault,) = faults("timing", loss_beta=0.1)
    assert fault.startswith("0.1 s is 8.3e+06 of the scale of time, 1.2e-08 s: the loss is quadratic everywhere")
    assert fault.endswith("leave it out for 1.2e-09 s.")


def test_a_beta_that_makes_the_loss_linear_is_noticed_for_each_component():
    found = faults("uvwFI", loss_beta=1e-5, loss_fn="huber")
    assert [text.split("scale of ")[1][0] for text in found] == ["u", "v", "w"]
    assert all("linear everywhere" in text for text in found)


def test_the_logarithm_is_judged_by_the_energy_that_it_stands_for():
    assert not faults("energy", loss_beta=0.01, log_transform=True)
    assert len(faults("energy", loss_beta=0.1, log_transform=True)) == 1


@pytest.mark.parametrize("settings", [{}, {"loss_beta": 1e-9}, {"loss_beta": 0.5, "loss_fn": "gaussian_nll"}])
def test_sound_settings_are_passed_over(settings):
    assert not faults("timing", **settings)
