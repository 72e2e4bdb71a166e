// Vectors of the machine's width, and a block of samples made of them.
//
// The same source serves SSE2, AVX2, AVX-512 and NEON: the width comes from the compiler's flags, everything else from
// GCC's and Clang's vector extensions.
#ifndef NEURODE_VEC_H
#define NEURODE_VEC_H

#include <stdint.h>

#ifndef NEURODE_VARIANT
#error "NEURODE_VARIANT names the namespace of this build of the kernel"
#endif

#if defined(__AVX512F__)
#define NEURODE_VECTOR_BYTES 64
#define NEURODE_REGISTERS 32
#elif defined(__AVX__)
#define NEURODE_VECTOR_BYTES 32
#define NEURODE_REGISTERS 16
#elif defined(__aarch64__)
#define NEURODE_VECTOR_BYTES 16
#define NEURODE_REGISTERS 32
#else
#define NEURODE_VECTOR_BYTES 16
#define NEURODE_REGISTERS 16
#endif

#define NEURODE_INLINE inline __attribute__((always_inline))

namespace NEURODE_VARIANT {

// Samples that are computed together, one in each place of the vectors.
constexpr int BLOCK = NEURODE_VECTOR_BYTES == 64 ? 32 : 16;

template <class T>
struct Types;

template <>
struct Types<float> {
    typedef float Vec __attribute__((vector_size(NEURODE_VECTOR_BYTES)));
    typedef int32_t Int __attribute__((vector_size(NEURODE_VECTOR_BYTES)));
    typedef int32_t Bits;
    // A vector that lies anywhere, not only at a multiple of its size.
    typedef float Loose __attribute__((vector_size(NEURODE_VECTOR_BYTES), aligned(4), may_alias));
    static constexpr int MANTISSA = 23, BIAS = 127;
};

template <>
struct Types<double> {
    typedef double Vec __attribute__((vector_size(NEURODE_VECTOR_BYTES)));
    typedef int64_t Int __attribute__((vector_size(NEURODE_VECTOR_BYTES)));
    typedef int64_t Bits;
    typedef double Loose __attribute__((vector_size(NEURODE_VECTOR_BYTES), aligned(8), may_alias));
    static constexpr int MANTISSA = 52, BIAS = 1023;
};

template <class T>
using Vec = typename Types<T>::Vec;
template <class T>
using Int = typename Types<T>::Int;

// Numbers in a vector, and vectors in a block.
template <class T>
constexpr int WIDTH = NEURODE_VECTOR_BYTES / static_cast<int>(sizeof(T));
template <class T>
constexpr int PARTS = BLOCK / WIDTH<T>;

template <class T>
NEURODE_INLINE Vec<T> load(const T* place) {
    return *reinterpret_cast<const typename Types<T>::Loose*>(place);
}

template <class T>
NEURODE_INLINE void store(T* place, Vec<T> value) {
    *reinterpret_cast<typename Types<T>::Loose*>(place) = value;
}

template <class T>
NEURODE_INLINE Vec<T> broadcast(T value) {
    return value - Vec<T>{};
}

template <class T>
NEURODE_INLINE Vec<T> select(Int<T> mask, Vec<T> yes, Vec<T> no) {
    return mask ? yes : no;
}

template <class T>
NEURODE_INLINE Int<T> bits_of(Vec<T> x) {
    return reinterpret_cast<Int<T>>(x);
}

template <class T>
NEURODE_INLINE Vec<T> of_bits(Int<T> x) {
    return reinterpret_cast<Vec<T>>(x);
}

template <class T>
NEURODE_INLINE Vec<T> magnitude(Vec<T> x) {
    constexpr typename Types<T>::Bits sign = static_cast<typename Types<T>::Bits>(1) << (sizeof(T) * 8 - 2);
    // Written so that the constant is not an overflowing shift: all bits but the highest.
    return of_bits<T>(bits_of<T>(x) & (sign - 1 + sign));
}

// The magnitude of x with the sign of y.
template <class T>
NEURODE_INLINE Vec<T> with_sign(Vec<T> x, Vec<T> y) {
    constexpr typename Types<T>::Bits most = static_cast<typename Types<T>::Bits>(1) << (sizeof(T) * 8 - 2);
    constexpr typename Types<T>::Bits all_but_sign = most - 1 + most;
    return of_bits<T>((bits_of<T>(x) & all_but_sign) | (bits_of<T>(y) & ~all_but_sign));
}

// NaN in the first stays, as it does in torch's clamp.
template <class T>
NEURODE_INLINE Vec<T> at_most(Vec<T> x, T limit) {
    return select<T>(x > limit, broadcast<T>(limit), x);
}

template <class T>
NEURODE_INLINE Vec<T> at_least(Vec<T> x, T limit) {
    return select<T>(x < limit, broadcast<T>(limit), x);
}

// c[0] + c[1] x + c[2] x^2 + ...
template <class T, int N>
NEURODE_INLINE Vec<T> polynomial(Vec<T> x, const T (&c)[N]) {
    Vec<T> sum = broadcast<T>(c[N - 1]);
#pragma GCC unroll 32
    for (int i = N - 2; i >= 0; --i) sum = sum * x + c[i];
    return sum;
}

}  // namespace NEURODE_VARIANT

#endif
