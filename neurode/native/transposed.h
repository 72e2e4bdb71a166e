// Blocks turned around: from feature-major to a row a sample.
#ifndef NEURODE_TRANSPOSED_H
#define NEURODE_TRANSPOSED_H

#include <utility>

#include "vec.h"

namespace NEURODE_VARIANT {

// One stage of the butterfly that transposes: places whose number has the bit STEP change sides.
template <class T, int STEP, int... I>
NEURODE_INLINE void exchange(Vec<T>& a, Vec<T>& b, std::integer_sequence<int, I...>) {
    constexpr int width = WIDTH<T>;
#if defined(__clang__) || __GNUC__ >= 12
    Vec<T> low = __builtin_shufflevector(a, b, ((I & STEP) ? width + I - STEP : I)...);
    Vec<T> high = __builtin_shufflevector(a, b, ((I & STEP) ? width + I : I + STEP)...);
#else
    // Older GCC has this one only, and Clang has not.
    Vec<T> low = __builtin_shuffle(a, b, Int<T>{((I & STEP) ? width + I - STEP : I)...});
    Vec<T> high = __builtin_shuffle(a, b, Int<T>{((I & STEP) ? width + I : I + STEP)...});
#endif
    a = low;
    b = high;
}

template <class T, int STEP>
NEURODE_INLINE void exchange_all(Vec<T>* v) {
    if constexpr (STEP < WIDTH<T>) {
#pragma GCC unroll 16
        for (int i = 0; i < WIDTH<T>; ++i)
            if (!(i & STEP)) exchange<T, STEP>(v[i], v[i + STEP], std::make_integer_sequence<int, WIDTH<T>>());
        exchange_all<T, STEP * 2>(v);
    }
}

// rows (16, stride) from the block x of `features` features. Reads features up to a whole vector; stride >= that.
template <class T>
void transpose(const T* x, int features, T* rows, int64_t stride) {
    constexpr int width = WIDTH<T>;
    for (int f = 0; f < features; f += width) {
#pragma GCC unroll 8
        for (int p = 0; p < PARTS<T>; ++p) {
            Vec<T> v[width];
#pragma GCC unroll 16
            for (int i = 0; i < width; ++i) v[i] = load<T>(x + (f + i) * BLOCK + p * width);
            exchange_all<T, 1>(v);
#pragma GCC unroll 16
            for (int i = 0; i < width; ++i) store<T>(rows + (p * width + i) * stride + f, v[i]);
        }
    }
}

}  // namespace NEURODE_VARIANT

#endif
