// Elementary functions of vectors: exp, expm1, log1p, sine, and the normal distribution's upper tail.
//
// Polynomials are near-minimax (Chebyshev) fits made for this file in 50 digits; the error of each, before rounding,
// stands beside it. All keep NaN.
#ifndef NEURODE_ELEMENTARY_H
#define NEURODE_ELEMENTARY_H

#include <math.h>

#include "vec.h"

namespace NEURODE_VARIANT {

template <class T>
struct Fits;

template <>
struct Fits<float> {
    // (exp(r) - 1 - r) / r^2 on |r| <= log(2) / 2: 6.5e-8.
    static constexpr float exponential[] = {0.5f, 0.16666576989698776f, 0.041666554617204574f, 0.0083631790527225774f,
                                            0.0013926183587713495f};
    // (atanh(s) / s - 1) / s^2 in s^2 on [0, 1/9]: 3.6e-9.
    static constexpr float logarithm[] = {0.33333333660263706f, 0.19999853165964859f, 0.1429617899715142f,
                                          0.10853287900440186f, 0.11612164612011674f};
    // (sin(r) - r) / r^3 in r^2 on |r| <= pi / 2: 2.8e-11.
    static constexpr float sine[] = {-0.16666666663853422f, 0.0083333327642542754f, -0.00019841085469334525f,
                                     2.7536381067442064e-6f, -2.4078282631913491e-8f};
    // erfcx(x / sqrt(2)) / 2 / t for x in [0, 15], t = 1 / (1 + 0.3 x), in u = scale t + shift: 1.9e-9.
    static constexpr float tail[] = {0.25492364198036614f,    0.16268318846290405f,     0.068212804824698973f,
                                     0.015457981064758654f,   -0.00027140945866052161f, -0.0010377702067397541f,
                                     -4.8641168567896855e-5f, 8.473883574486531e-5f,    2.1978578737651109e-6f,
                                     -6.7341159250549854e-6f};
    static constexpr float tail_scale = 2.4444444444444444f, tail_shift = -1.4444444444444444f, tail_end = 15.0f;
    static constexpr float round = 12582912.0f;  // 1.5 * 2^23
    static constexpr float ln2_high = 0.693145751953125f, ln2_low = 1.4286068203094173e-6f;
    static constexpr float overflow = 89.0f, underflow = -104.0f, saturated = 18.0f;
    static constexpr float pi_high = 3.140625f, pi_middle = 0.0009675025939941406f, pi_low = 1.509957990978376e-7f;
    // Beyond this the parts of pi no longer suffice.
    static constexpr float sine_end = 5000.0f;
};

template <>
struct Fits<double> {
    static constexpr double exponential[] = {0.5,
                                             0.16666666666666667453,
                                             0.041666666666624127873,
                                             0.0083333333333300618325,
                                             0.0013888888917213716901,
                                             0.00019841269863053616878,
                                             0.000024801521295954375131,
                                             2.7557268459997064772e-6,
                                             2.7620088445409748161e-7,
                                             2.5100385495510319078e-8};  // 1.1e-16
    static constexpr double logarithm[] = {0.33333333333333329281,  0.20000000000007291337,  0.14285714283554378581,
                                           0.11111111358713931495,  0.090908947180664290846, 0.076927850324793115517,
                                           0.066570721048274680752, 0.060005364047953562676, 0.044003692430723369411,
                                           0.080820228059717661105};  // 4.5e-17
    static constexpr double sine[] = {-0.16666666666666666632,    0.0083333333333333156236,  -0.00019841269841254795074,
                                      2.755731921911501115e-6,    -2.5052107610861158329e-8, 1.6058976915095007135e-10,
                                      -7.6439576225606170348e-13, 2.731286891309230647e-15};  // 3.4e-19
    // The same tail for x in [0, 40]: 6e-17.
    static constexpr double tail[] = {
        0.23515539473917510116,     0.16466813136972065343,      0.079250332480808966938,   0.022157394739956024457,
        0.00060877017737166538142,  -0.0017774842937632667706,   -0.0002536058606329017612, 0.0001873159087969457258,
        0.000028221785581970531989, -0.000026683666983563339491, -9.9777140670846963434e-7, 4.1539228715357033592e-6,
        -6.3867622144456016463e-7,  -5.4121826530017853324e-7,   2.5058942996488601187e-7,  2.574300802945456437e-8,
        -5.604766138949353423e-8,   1.2417497831621676699e-8,    7.8322972314581016587e-9,  -4.1513586585252996207e-9,
        -5.2478391742181951862e-10, 5.0456128946719642755e-10};
    static constexpr double tail_scale = 2.1666666666666666667, tail_shift = -1.1666666666666666667, tail_end = 40.0;
    static constexpr double round = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    static constexpr double overflow = 710.0, underflow = -746.0, saturated = 40.0;
    // 33 bits each, so that up to 2^20 multiples are exact.
    static constexpr double pi_high = 3.1415926534682512, pi_middle = 1.2154201012607932e-10,
                            pi_low = 4.044532497591901e-21;
    static constexpr double sine_end = 1.0e6;
};

// r with x = n log(2) + r, and n in the low bits of `shifted`.
template <class T>
NEURODE_INLINE Vec<T> reduced(Vec<T> x, Vec<T>& shifted, Vec<T>& n) {
    using F = Fits<T>;
    shifted = x * static_cast<T>(1.4426950408889634074) + F::round;
    n = shifted - F::round;
    return (x - n * F::ln2_high) - n * F::ln2_low;
}

// 2^n for the n in the low bits of `shifted`; n between -BIAS + 1 and BIAS.
template <class T>
NEURODE_INLINE Vec<T> power_of_two(Vec<T> shifted) {
    return of_bits<T>((bits_of<T>(shifted) + Types<T>::BIAS) << Types<T>::MANTISSA);
}

// exp(r) - 1 for |r| <= log(2) / 2.
template <class T>
NEURODE_INLINE Vec<T> expm1_near_zero(Vec<T> r) {
    return r + r * r * polynomial<T>(r, Fits<T>::exponential);
}

template <class T>
NEURODE_INLINE Vec<T> exponential(Vec<T> x) {
    using F = Fits<T>;
    Vec<T> shifted, n, bounded = at_least<T>(at_most<T>(x, F::overflow), F::underflow);
    Vec<T> r = reduced<T>(bounded, shifted, n);
    Vec<T> value = expm1_near_zero<T>(r) + static_cast<T>(1);
    // In two factors: n reaches beyond what one exponent can hold, where the result is infinite or subnormal.
    Vec<T> half = n * static_cast<T>(0.5) + F::round;
    Vec<T> rest = (n - (half - F::round)) + F::round;
    return value * power_of_two<T>(half) * power_of_two<T>(rest);
}

// exp(x) within [-BIAS, BIAS] binary exponents; beyond these the value at their ends. Never infinite, never zero.
template <class T>
NEURODE_INLINE Vec<T> exponential_within(Vec<T> x) {
    constexpr T end = static_cast<T>(0.69 * (Types<T>::BIAS - 1));
    Vec<T> shifted, n;
    Vec<T> r = reduced<T>(at_least<T>(at_most<T>(x, end), -end), shifted, n);
    return (expm1_near_zero<T>(r) + static_cast<T>(1)) * power_of_two<T>(shifted);
}

// exp(x) - 1 for x <= `saturated`; larger x count as that.
template <class T>
NEURODE_INLINE Vec<T> expm1_bounded(Vec<T> x) {
    using F = Fits<T>;
    Vec<T> shifted, n, bounded = at_least<T>(at_most<T>(x, F::saturated), -F::saturated);
    Vec<T> p = expm1_near_zero<T>(reduced<T>(bounded, shifted, n));
    Vec<T> scale = power_of_two<T>(shifted);
    return scale * p + (scale - static_cast<T>(1));
}

// log(1 + u) for u in [0, 1].
template <class T>
NEURODE_INLINE Vec<T> log1p_of_unit(Vec<T> u) {
    Vec<T> s = u / (u + static_cast<T>(2)), w = s * s;
    return (s + s) + (s + s) * (w * polynomial<T>(w, Fits<T>::logarithm));
}

// tanh(x). In single precision a ratio of polynomials in x^2, fitted to 2.1e-8 on |x| <= 9.02, beyond which tanh is 1:
// it takes half the operations, and 5 units in the last place are its error.
NEURODE_INLINE Vec<float> hyperbolic_tangent(Vec<float> x) {
    constexpr float over[] = {1.0f, 0.13379672169685364f, 0.003493980271741748f, 2.0582572687999345e-5f,
                              1.3317809965940341e-8f};
    constexpr float under[] = {1.0f, 0.4671298861503601f, 0.02587086893618107f, 0.00032830031705088913f,
                               7.761502160974487e-7f};
    const Vec<float> bounded = at_least<float>(at_most<float>(x, 9.02f), -9.02f), w = bounded * bounded;
    return bounded * polynomial<float>(w, over) / polynomial<float>(w, under);
}

NEURODE_INLINE Vec<double> hyperbolic_tangent(Vec<double> x) {
    const Vec<double> e = expm1_bounded<double>(magnitude<double>(x) * 2.0);
    return with_sign<double>(e / (e + 2.0), x);
}

// Lanes beyond the reach of the reduction, one by one.
template <class T>
__attribute__((noinline)) Vec<T> far_sines(Vec<T> x, Vec<T> near, bool cosine) {
    for (int i = 0; i < WIDTH<T>; ++i) {
        const double one = static_cast<double>(x[i]);
        if (!(fabs(one) <= static_cast<double>(Fits<T>::sine_end))) {
            near[i] = static_cast<T>(cosine ? ::cos(one) : ::sin(one));
        }
    }
    return near;
}

// sin(x), or cos(x): with a multiple of pi taken off, or of pi and a half.
template <class T, bool COSINE>
NEURODE_INLINE Vec<T> sine_or_cosine(Vec<T> x) {
    using F = Fits<T>;
    const T offset = COSINE ? static_cast<T>(0.5) : static_cast<T>(0);
    Vec<T> shifted = (x * static_cast<T>(0.31830988618379067154) - offset) + F::round;
    Vec<T> n = (shifted - F::round) + offset;
    Vec<T> r = ((x - n * F::pi_high) - n * F::pi_middle) - n * F::pi_low;
    Vec<T> w = r * r;
    Vec<T> value = r + r * (w * polynomial<T>(w, F::sine));
    // The sign is that of (-1)^n, and the other way round for the cosine.
    Int<T> odd = (bits_of<T>(shifted) + (COSINE ? 1 : 0)) << (sizeof(T) * 8 - 1);
    value = of_bits<T>(bits_of<T>(value) ^ odd);
    Int<T> far = ~(magnitude<T>(x) <= F::sine_end);
    typename Types<T>::Bits any = 0;
    for (int i = 0; i < WIDTH<T>; ++i) any |= far[i];
    return __builtin_expect(any != 0, 0) ? far_sines<T>(x, value, COSINE) : value;
}

// exp(-x^2 / 2) with the rounding of x^2 made good: otherwise its error grows with x^2.
template <class T>
NEURODE_INLINE Vec<T> bell(Vec<T> x) {
    constexpr typename Types<T>::Bits low =
        (static_cast<typename Types<T>::Bits>(1) << (Types<T>::MANTISSA / 2 + 1)) - 1;
    Vec<T> top = of_bits<T>(bits_of<T>(x) & ~low);
    Vec<T> rest = (x - top) * (x + top);
    return exponential<T>(top * top * static_cast<T>(-0.5)) * exponential<T>(rest * static_cast<T>(-0.5));
}

// The normal distribution above |x|, given bell(x).
template <class T>
NEURODE_INLINE Vec<T> upper_tail(Vec<T> x, Vec<T> bell_of_x) {
    using F = Fits<T>;
    Vec<T> t = static_cast<T>(1) / (at_most<T>(magnitude<T>(x), F::tail_end) * static_cast<T>(0.3) + static_cast<T>(1));
    return bell_of_x * (t * polynomial<T>(t * F::tail_scale + F::tail_shift, F::tail));
}

}  // namespace NEURODE_VARIANT

#endif
