// The activations a layer may have, with their slopes, over the rows of a block.
#ifndef NEURODE_ACTIVATION_H
#define NEURODE_ACTIVATION_H

#include "elementary.h"
#include "neurode.h"

namespace NEURODE_VARIANT {

// Each gives value(z) and, where SLOPE, d value / dz.

struct Tanh {
    template <class T, bool SLOPE>
    static NEURODE_INLINE Vec<T> value(Vec<T> z, Vec<T>& slope) {
        Vec<T> v = hyperbolic_tangent(z);
        if (SLOPE) slope = static_cast<T>(1) - v * v;
        return v;
    }
};

struct Silu {
    template <class T, bool SLOPE>
    static NEURODE_INLINE Vec<T> value(Vec<T> z, Vec<T>& slope) {
        Vec<T> e = exponential_within<T>(-z), sigmoid = static_cast<T>(1) / (e + static_cast<T>(1)), v = z * sigmoid;
        if (SLOPE) slope = sigmoid + v * (e * sigmoid);
        return v;
    }
};

// As in torch, the identity beyond 20.
struct Softplus {
    template <class T, bool SLOPE>
    static NEURODE_INLINE Vec<T> value(Vec<T> z, Vec<T>& slope) {
        const T threshold = static_cast<T>(20);
        Vec<T> u = exponential_within<T>(-magnitude<T>(z));
        Vec<T> v = at_least<T>(z, static_cast<T>(0)) + log1p_of_unit<T>(u);
        if (SLOPE) {
            Vec<T> share = static_cast<T>(1) / (u + static_cast<T>(1));
            slope = select<T>(z > threshold, broadcast<T>(1), select<T>(z > static_cast<T>(0), share, u * share));
        }
        return select<T>(z > threshold, z, v);
    }
};

struct Relu {
    template <class T, bool SLOPE>
    static NEURODE_INLINE Vec<T> value(Vec<T> z, Vec<T>& slope) {
        if (SLOPE) slope = select<T>(z > static_cast<T>(0), broadcast<T>(1), broadcast<T>(0));
        return at_least<T>(z, static_cast<T>(0));
    }
};

struct Elu {
    template <class T, bool SLOPE>
    static NEURODE_INLINE Vec<T> value(Vec<T> z, Vec<T>& slope) {
        Vec<T> below = expm1_bounded<T>(at_most<T>(z, static_cast<T>(0)));
        // Not below + 1: that is zero long before the exponential is.
        if (SLOPE) slope = select<T>(z > static_cast<T>(0), broadcast<T>(1), exponential_within<T>(at_most<T>(z, 0)));
        return select<T>(z > static_cast<T>(0), z, below);
    }
};

struct Gelu {
    template <class T, bool SLOPE>
    static NEURODE_INLINE Vec<T> value(Vec<T> z, Vec<T>& slope) {
        Vec<T> density = bell<T>(z), tail = upper_tail<T>(z, density);
        Vec<T> share = select<T>(z > static_cast<T>(0), static_cast<T>(1) - tail, tail);
        if (SLOPE) {
            // Far out the density is zero, and zero times infinity is not.
            Vec<T> bounded = at_least<T>(at_most<T>(z, static_cast<T>(1000)), static_cast<T>(-1000));
            slope = share + bounded * density * static_cast<T>(0.39894228040143267794);
        }
        return z * share;
    }
};

struct GeluTanh {
    template <class T, bool SLOPE>
    static NEURODE_INLINE Vec<T> value(Vec<T> z, Vec<T>& slope) {
        // As a logistic function of twice the inner one: its tail would drown in the rounding of 1 + tanh.
        const T k = static_cast<T>(2 * 0.79788456080286535588), cube = static_cast<T>(0.044715),
                one = static_cast<T>(1);
        Vec<T> bounded = at_least<T>(at_most<T>(z, static_cast<T>(1000)), static_cast<T>(-1000));
        Vec<T> square = bounded * bounded;
        Vec<T> e = exponential_within<T>(-magnitude<T>(bounded * k * (square * cube + one)));
        Vec<T> more = one / (e + one), less = e * more, share = select<T>(z > static_cast<T>(0), more, less);
        if (SLOPE) slope = share + bounded * (more * less) * (k * (square * (3 * cube) + one));
        return z * share;
    }
};

struct Sin {
    template <class T, bool SLOPE>
    static NEURODE_INLINE Vec<T> value(Vec<T> z, Vec<T>& slope) {
        if (SLOPE) slope = sine_or_cosine<T, true>(z);
        return sine_or_cosine<T, false>(z);
    }
};

struct Square {
    template <class T, bool SLOPE>
    static NEURODE_INLINE Vec<T> value(Vec<T> z, Vec<T>& slope) {
        if (SLOPE) slope = z * static_cast<T>(2);
        return z * z;
    }
};

struct Cube {
    template <class T, bool SLOPE>
    static NEURODE_INLINE Vec<T> value(Vec<T> z, Vec<T>& slope) {
        const Vec<T> square = z * z;
        if (SLOPE) slope = square * static_cast<T>(3);
        return square * z;
    }
};

// In place over `count` numbers (a multiple of a vector's width).
template <class T, class F>
void apply(T* z, T* slope, int count) {
    if (slope == nullptr) {
        for (int i = 0; i < count; i += WIDTH<T>) {
            Vec<T> unused{};
            store<T>(z + i, F::template value<T, false>(load<T>(z + i), unused));
        }
        return;
    }
    for (int i = 0; i < count; i += WIDTH<T>) {
        Vec<T> s{};
        store<T>(z + i, F::template value<T, true>(load<T>(z + i), s));
        store<T>(slope + i, s);
    }
}

// z becomes its activation, and `slope` (unless null) the slope there. The identity leaves `slope` alone.
template <class T>
void activate(int activation, T* z, T* slope, int count) {
    switch (activation) {
        case NEURODE_TANH:
            return apply<T, Tanh>(z, slope, count);
        case NEURODE_SILU:
            return apply<T, Silu>(z, slope, count);
        case NEURODE_SOFTPLUS:
            return apply<T, Softplus>(z, slope, count);
        case NEURODE_RELU:
            return apply<T, Relu>(z, slope, count);
        case NEURODE_ELU:
            return apply<T, Elu>(z, slope, count);
        case NEURODE_GELU:
            return apply<T, Gelu>(z, slope, count);
        case NEURODE_GELU_TANH:
            return apply<T, GeluTanh>(z, slope, count);
        case NEURODE_SIN:
            return apply<T, Sin>(z, slope, count);
        case NEURODE_SQUARE:
            return apply<T, Square>(z, slope, count);
        case NEURODE_CUBE:
            return apply<T, Cube>(z, slope, count);
        default:
            return;
    }
}

}  // namespace NEURODE_VARIANT

#endif
