// The first step size (Hairer, Norsett and Wanner 1993, II.4, algorithm 4.14), as integration/first_step.py has it.
#ifndef NEURODE_FIRST_STEP_H
#define NEURODE_FIRST_STEP_H

#include "controller.h"

namespace NEURODE_VARIANT {

// The length of the probing Euler step, from the norms of y0 and f0 and the length of the interval.
inline double probing_step(double d0, double d1, double length) {
    double h0 = d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1;
    if (!(__builtin_isfinite(h0) && h0 > 0)) h0 = 1e-6;
    return fmin(h0, length);
}

// change: norm of the field's change along the probing step.
inline double first_step(double h0, double d1, double change, double length, int order) {
    const double d2 = change / (h0 > 0 ? h0 : 1.0);
    const double largest = fmax(d1, d2);
    double h1 = largest <= 1e-15 ? fmax(1e-6, h0 * 1e-3) : pow(0.01 / largest, 1.0 / (order + 1));
    if (!(__builtin_isfinite(h1) && h1 > 0)) h1 = h0;
    return rounded_down(fmin(fmin(100 * h0, h1), length));
}

}  // namespace NEURODE_VARIANT

#endif
