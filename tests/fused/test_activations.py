"""The native activations against numbers of higher precision, over their whole domain and in every variant."""

import numpy as np
import pytest
import torch

from neurode.fused import library
from neurode.fused.evaluation import FUNCTIONS
from neurode.fused.field import ACTIVATIONS

pytestmark = pytest.mark.skipif(not library.status().available, reason=library.status().reason)

UNITS, SLOPE_UNITS = 8, 16
"""So many units in the last place a value may be off, away from zeros of the function; slopes, so many of the number
1."""

VARIANTS = ("baseline", "neon", "avx2", "avx512")


def wide(x):
    return np.asarray(x, dtype=np.longdouble)


def normal_above(x):
    """1 - Phi(x) for x >= 0: a series of positive terms below 1.2, a continued fraction (Laplace) above."""
    low = np.minimum(x, wide(1.2))
    term = total = low.copy()
    for n in range(1, 60):
        term = term * low * low / (2 * n + 1)
        total = total + term
    density = np.exp(-x * x / 2) / np.sqrt(2 * wide(np.pi) + 2 * wide(PI_REST))
    near = wide(0.5) - np.exp(-low * low / 2) / np.sqrt(2 * wide(np.pi) + 2 * wide(PI_REST)) * total
    high, fraction = np.maximum(x, wide(1.2)), wide(0) * x
    for n in range(400, 0, -1):
        fraction = n / (high + fraction)
    return np.where(x < 1.2, near, density / (high + fraction))


PI_REST = 1.2246467991473532e-16
"""What pi is beyond the nearest double."""


def normal_below(z):
    above = normal_above(np.abs(z))
    return np.where(z < 0, above, 1 - above)


def bell(z):
    return np.exp(-z * z / 2) / np.sqrt(2 * wide(np.pi) + 2 * wide(PI_REST))


def logistic(z):
    # In longdouble exp(-z) has no overflow for any double of interest below 11,000.
    return 1 / (1 + np.exp(np.clip(-z, -11000, 11000)))


def inner(z):
    return np.sqrt(2 / (wide(np.pi) + wide(PI_REST))) * (z + wide("0.044715") * z**3)


def inner_slope(z):
    return np.sqrt(2 / (wide(np.pi) + wide(PI_REST))) * (1 + 3 * wide("0.044715") * z**2)


def tanh_gelu_slope(z):
    share = logistic(2 * inner(z))
    return share + z * 2 * inner_slope(z) * share * (1 - share)


TRUTH = {
    "identity": (lambda z: z, lambda z: 1 + 0 * z),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "silu": (lambda z: z * logistic(z), lambda z: logistic(z) * (1 + z * logistic(-z))),
    "softplus": (
        lambda z: np.where(z > 20, z, np.log1p(np.exp(np.minimum(z, 20)))),
        lambda z: np.where(z > 20, 1, logistic(z)),
    ),
    "relu": (lambda z: np.maximum(z, 0), lambda z: wide(z > 0)),
    "elu": (lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))), lambda z: np.exp(np.minimum(z, 0))),
    "gelu": (lambda z: z * normal_below(z), lambda z: normal_below(z) + z * bell(z)),
    "gelu_tanh": (lambda z: z * logistic(2 * inner(z)), tanh_gelu_slope),
    "sin": (np.sin, np.cos),
}
"""Value and slope in numpy's long double."""


def points(dtype):
    """Both signs, from the smallest normal numbers to large ones, dense where the functions bend."""
    generator = np.random.default_rng(0)
    tiny, far = (1e-37, 3e4) if dtype == np.float32 else (1e-300, 3e4)
    sizes = np.exp(generator.uniform(np.log(tiny), np.log(far), 20_000))
    signed = np.concatenate([sizes, -sizes, generator.uniform(-40, 40, 40_000), [0.0, -0.0, 20.0, 20.000001]])
    return signed.astype(dtype)


def native(name, z):
    value, slope = np.empty_like(z), np.empty_like(z)
    library.library().neurode_activate(
        ACTIVATIONS.index(name), int(z.dtype == np.float64), len(z), z.ctypes.data, value.ctypes.data, slope.ctypes.data
    )
    return value, slope


@pytest.fixture(params=VARIANTS)
def variant(request):
    best = library.status().variant
    try:
        library.use_variant(request.param)
    except ValueError:
        pytest.skip(f"no {request.param} here")
    yield request.param
    library.use_variant(best)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_slopes_are_right_to_a_few_units_in_the_last_place(name, dtype, variant):
    if dtype == np.float64 and np.finfo(np.longdouble).eps > 1e-18:
        pytest.skip("numpy's long double is no wider than a double here")
    z, unit = points(dtype), np.finfo(dtype).eps
    value, slope = native(name, z)
    with np.errstate(under="ignore", over="ignore"):
        due, due_slope = (wide(f(wide(z))) for f in TRUTH[name])
    # Below this size it may be off absolutely: where numbers run out; the zeros of sin, and the tail of gelu_tanh, whose
    # argument is rounded.
    zero = wide(unit) if name in ("sin", "gelu_tanh") else 32 * np.finfo(dtype).tiny * (1 + np.abs(wide(z)))
    error = np.abs(value - due) / (unit * (np.abs(due) + zero / unit))
    assert error.max() <= UNITS, f"{error.max():.1f} units at {z[error.argmax()]!r}"
    slope_error = np.abs(slope - due_slope) / unit
    assert slope_error.max() <= SLOPE_UNITS, f"slope: {slope_error.max():.1f} units of 1 at {z[slope_error.argmax()]!r}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_and_infinities_come_out_as_torch_has_them(name, dtype, variant):
    z = np.array([np.nan, 1e4, -1e4, np.inf, -np.inf], dtype=dtype)
    value, _ = native(name, z)
    due = FUNCTIONS[name](torch.from_numpy(z)).numpy()
    if name in (
        "silu",
        "gelu",
        "gelu_tanh",
    ):  # infinity times nothing is NaN, here or there: the solve fails either way
        value, due = value[:3], due[:3]
    np.testing.assert_allclose(value, due, rtol=1e-6, atol=1e6 * np.finfo(dtype).tiny, equal_nan=True)
