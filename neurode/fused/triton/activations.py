"""The activations of a field and their derivatives, as functions of Triton; numbered as in `fused.field.ACTIVATIONS`,
behind them `POWERS`.

Only operations that Triton's interpreter knows too, so that what a test computes on a CPU is what a GPU computes.
"""

import triton
import triton.language as tl


@triton.jit
def hyperbolic_tangent(z):
    """tanh(z)."""
    shrunk = tl.exp(-2.0 * tl.abs(z))
    size = (1.0 - shrunk) / (1.0 + shrunk)
    return tl.where(z < 0.0, -size, size)


@triton.jit
def logistic(z):
    """1 / (1 + exp(-z))."""
    shrunk = tl.exp(-tl.abs(z))
    return tl.where(z < 0.0, shrunk, 1.0) / (1.0 + shrunk)


@triton.jit
def activated(z, KIND: tl.constexpr):
    """activation(z). Not exact to the last bit near zero: its error is that of rounding beside the largest values."""
    if KIND == 1:
        z = hyperbolic_tangent(z)
    elif KIND == 2:
        z = z * logistic(z)
    elif KIND == 3:
        z = tl.where(z > 20.0, z, tl.where(z > 0.0, z, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(z))))
    elif KIND == 4:
        z = tl.where(z < 0.0, 0.0, z)
    elif KIND == 5:
        z = tl.where(z > 0.0, z, tl.exp(tl.where(z > 0.0, 0.0, z)) - 1.0)
    elif KIND == 6:
        z = 0.5 * z * (1.0 + tl.erf(z * 0.7071067811865476))
    elif KIND == 7:
        z = 0.5 * z * (1.0 + hyperbolic_tangent(0.7978845608028654 * (z + 0.044715 * z * z * z)))
    elif KIND == 8:
        z = tl.sin(z)
    elif KIND == 9:
        z = z * z
    elif KIND == 10:
        z = z * z * z
    return z


@triton.jit
def steepness(z, KIND: tl.constexpr):
    """Its derivative at z."""
    slope = tl.full(z.shape, 1.0, z.dtype)
    if KIND == 1:
        value = hyperbolic_tangent(z)
        slope = 1.0 - value * value
    elif KIND == 2:
        share = logistic(z)
        slope = share * (1.0 + z * (1.0 - share))
    elif KIND == 3:
        slope = tl.where(z > 20.0, slope, logistic(z))
    elif KIND == 4:
        slope = tl.where(z > 0.0, slope, 0.0)
    elif KIND == 5:
        slope = tl.where(z > 0.0, slope, tl.exp(tl.where(z > 0.0, 0.0, z)))
    elif KIND == 6:
        slope = 0.5 * (1.0 + tl.erf(z * 0.7071067811865476)) + z * 0.3989422804014327 * tl.exp(-0.5 * z * z)
    elif KIND == 7:
        value = hyperbolic_tangent(0.7978845608028654 * (z + 0.044715 * z * z * z))
        inner = 0.7978845608028654 * (1.0 + 0.134145 * z * z)
        slope = 0.5 * (1.0 + value) + 0.5 * z * (1.0 - value * value) * inner
    elif KIND == 8:
        slope = tl.cos(z)
    elif KIND == 9:
        slope = 2.0 * z
    elif KIND == 10:
        slope = 3.0 * z * z
    return slope


@triton.jit
def clock(t, KIND: tl.constexpr, RATE: tl.constexpr):
    """What a layer knows of time; numbered as in `fused.field.CLOCKS`, behind them one that stands still."""
    value = tl.full(t.shape, 1.0, t.dtype)
    if KIND == 0:
        value = t
    elif KIND == 1:
        value = tl.sin(RATE * t)
    elif KIND == 2:
        value = tl.cos(RATE * t)
    return value
