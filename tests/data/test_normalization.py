import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.errors import ConfigError

SCHEMES = ("log1p", "sqrt", "anscombe", "linear")
LEGACY = {"npho_scale": 0.58, "npho_scale2": 1.0, "time_scale": 6.5e-8, "time_shift": 0.5}
READINGS = st.one_of(
    st.floats(width=32, allow_nan=True, allow_infinity=True, allow_subnormal=True),
    st.sampled_from([0.0, -0.0, 1e-45, -1e-45, 9e9, 1e10, -1e10, -3.4e38, 3.4e38, -0.375, -999.0, -1000.0]),
)


def make(scheme="log1p", **settings) -> Normalization:
    return Normalization.from_config(NormalizationConfig(npho_scheme=scheme, **settings))


def closed_form(n: Normalization, npho: float) -> float:
    return {
        "log1p": lambda: math.log1p(npho / n.npho_scale) / n.npho_scale2,
        "sqrt": lambda: math.sqrt(npho / n.npho_scale),
        "anscombe": lambda: math.sqrt((npho + 0.375) / (n.npho_scale + 0.375)),
        "linear": lambda: npho / n.npho_scale,
    }[n.npho_scheme]()


@pytest.mark.parametrize("settings", [{}, LEGACY], ids=["new", "legacy"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_inputs_follow_the_closed_form(scheme, settings):
    n = make(scheme, **settings)
    npho, time = torch.tensor([0.0, 1.0, 150.0, 1e5]), torch.full((4,), 3e-8)
    x, valid = n.apply(npho, time)
    expected = [closed_form(n, value) for value in npho.tolist()]
    # Float32 arithmetic.
    np.testing.assert_allclose(x[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(x[2:, 1], 3e-8 / n.time_scale - n.time_shift, rtol=1e-6)
    assert valid.tolist() == [[True, False], [True, False], [True, True], [True, True]]


@pytest.mark.parametrize("settings", [{}, LEGACY], ids=["new", "legacy"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_inverse_undoes_the_transform(scheme, settings):
    n = make(scheme, **settings)
    npho = torch.logspace(-1, 6, 200)
    time = torch.linspace(-1e-7, 1e-7, 200)
    x, _ = n.apply(npho, torch.where(npho < 100.0, 0.0, time))
    # Rounding of the input, half an ulp of up to 15 with the legacy constants, is magnified by d(npho)/dx, that is
    # (npho + s1) s2 for the logarithm; linear and roots magnify less.
    tolerance = (npho + n.npho_scale) * max(n.npho_scale2, 1.0) * 2e-6
    assert ((n.inverse_npho(x[:, 0]) - npho).abs() <= tolerance).all()
    # Half an ulp of an input of order one, times the scale.
    bright = npho >= 100.0
    assert ((n.inverse_time(x[bright, 1]) - time[bright]).abs() <= 2e-7 * n.time_scale).all()


@given(
    npho=st.lists(READINGS, min_size=6, max_size=6),
    time=st.lists(READINGS, min_size=6, max_size=6),
    scheme=st.sampled_from(SCHEMES),
    legacy=st.booleans(),
)
def test_inputs_are_finite_float32_and_sentinels_stand_where_invalid(npho, time, scheme, legacy):
    n = make(scheme, sentinel_npho=-5.0, sentinel_time=-7.0, **(LEGACY if legacy else {}))
    counts, times = torch.tensor(npho, dtype=torch.float32), torch.tensor(time, dtype=torch.float32)
    x, valid = n.apply(counts, times)
    assert x.dtype == torch.float32
    assert x.isfinite().all()
    expected_npho = [math.isfinite(value) and value <= 9e9 for value in counts.tolist()]
    expected_time = [
        ok and count >= 100.0 and math.isfinite(value) and abs(value) <= 9e9
        for ok, count, value in zip(expected_npho, counts.tolist(), times.tolist(), strict=True)
    ]
    assert valid[:, 0].tolist() == expected_npho
    assert valid[:, 1].tolist() == expected_time
    assert (x[:, 0][~valid[:, 0]] == -5.0).all()
    assert (x[:, 1][~valid[:, 1]] == -7.0).all()


@pytest.mark.parametrize(("scheme", "below"), [("log1p", -999.5), ("sqrt", -0.1), ("anscombe", -0.4)])
def test_counts_below_the_domain_become_zero_and_stay_valid(scheme, below):
    x, valid = make(scheme).apply(torch.tensor([below, 0.0]), torch.zeros(2))
    assert x[0, 0] == x[1, 0]
    assert valid[:, 0].all()


def test_small_negative_counts_pass_the_logarithm():
    x, _ = make().apply(torch.tensor([-3.0]), torch.zeros(1))
    assert x[0, 0].item() == pytest.approx(math.log1p(-0.003) / 4.08, rel=1e-5)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_gradients_are_finite_beside_invalid_readings(scheme):
    npho = torch.tensor([torch.nan, torch.inf, -1e6, 1e10, 200.0], requires_grad=True)
    time = torch.tensor([1e-8, torch.nan, torch.inf, 1e10, 1e-8], requires_grad=True)
    make(scheme).apply(npho, time)[0].sum().backward()
    assert npho.grad is not None
    assert time.grad is not None
    assert npho.grad.isfinite().all()
    assert time.grad.isfinite().all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_transform_can_be_captured_as_one_graph(scheme):
    n = make(scheme)

    class Module(torch.nn.Module):
        def forward(self, npho, time):
            return n.apply(npho, time)

    npho = torch.tensor([[-2.0, 1e10, torch.nan, 500.0]])
    time = torch.tensor([[1e-8, 1e-8, 1e-8, 2e-8]])
    captured = torch.export.export(Module(), (npho, time)).module()
    for got, expected in zip(captured(npho, time), n.apply(npho, time), strict=True):
        assert torch.equal(got, expected)


def test_plain_values_and_fingerprint_survive_a_round_trip():
    n = make("sqrt", npho_scale=20000.0)
    again = Normalization.from_dict(n.as_dict())
    assert again == n
    assert again.fingerprint() == n.fingerprint()
    assert len(n.fingerprint()) == 12


@pytest.mark.parametrize("field", ["npho_scale", "npho_scale2", "time_scale", "time_shift", "npho_threshold"])
def test_the_fingerprint_depends_on_every_field(field):
    changed = Normalization.from_dict({**make().as_dict(), field: 3.0})
    assert changed.fingerprint() != make().fingerprint()
    assert field in make().difference(changed)


def test_a_difference_shows_both_values_and_equals_show_nothing():
    text = make().difference(make("sqrt", npho_scale=20.0))
    assert text == "npho_scheme: 'log1p' against 'sqrt'; npho_scale: 1000.0 against 20.0"
    assert make().difference(make()) == ""


def test_impossible_plain_values_are_refused():
    with pytest.raises(ConfigError, match=r"npho_schema: unknown key; nearest: npho_scheme"):
        Normalization.from_dict({"npho_schema": "log1p"})
