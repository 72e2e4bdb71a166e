// Who chooses the steps, and where a lane stands in time: integration/controller.py and clock.py in one place, number
// for number, so that both engines take the same steps.
#ifndef NEURODE_CONTROLLER_H
#define NEURODE_CONTROLLER_H

#include <math.h>

#include "neurode.h"
#include "vec.h"

namespace NEURODE_VARIANT {

// Eleven binary digits: rounding noise of the error estimate must not choose the steps.
inline double rounded_down(double size) {
    if (!__builtin_isfinite(size)) return size;
    int exponent;
    const double mantissa = frexp(size, &exponent);
    return ldexp(floor(mantissa * 2048), exponent - 11);
}

struct Decision {
    bool accept;
    double size;
};

// What a lane remembers of the errors of its last two accepted steps.
struct History {
    double previous = 1, before = 1;
    bool rejected = false;
};

inline Decision judge(const neurode_control& control, double ratio, double size, History& history, int error_order) {
    const bool accept = ratio <= 1.0;
    const double safe = __builtin_isnan(ratio) ? 1e10 : ratio > 1e-10 ? ratio : 1e-10;
    const double b1 = (control.proportional + control.integral + control.derivative) / error_order;
    const double b2 = -(control.proportional + 2 * control.derivative) / error_order;
    const double b3 = control.derivative / error_order;
    double factor = control.safety * pow(safe, -b1);
    if (b2 != 0) factor = factor * pow(history.previous, -b2) * pow(history.before, -b3);
    const double highest = accept && !history.rejected ? control.factor_max : 1.0;
    factor = fmin(fmax(factor, control.factor_min), highest);
    if (!accept && factor > control.safety) factor = control.safety;
    if (accept) {
        history.before = history.previous;
        // A ratio far below one may be all rounding, which must not choose the steps to come.
        history.previous = fmax(safe, 1e-4);
    }
    history.rejected = !accept;
    return {accept, rounded_down(fmin(size * factor, control.max_step))};
}

struct Interval {
    double t, t_end;
    int64_t anchor, anchor_end;
};

// The output times of one lane.
struct Times {
    const double* first;
    int64_t count;
    double at(int64_t row) const { return first[row]; }
};

// One lane. Rows of the times that a step's ends are taken from are its anchors, -1 for none.
struct Clock {
    double t = 0, t1 = 0, size = 0, direction = 1, smallest = 0, step_size = 0;
    int64_t steps = 0, accepted = 0, evaluations = 0, anchor = 0, last_anchor = 0, mesh_count = 0, mesh_row = 0;
    int status = NEURODE_RUNNING;
    History history;

    void begin(const Times& times, const neurode_control& control) {
        t = times.at(0);
        t1 = times.at(times.count - 1);
        direction = t1 >= t ? 1.0 : -1.0;
        anchor = 0;
        last_anchor = times.count - 1;
        smallest = 4 * 2.220446049250313e-16 * fmax(fabs(t), fabs(t1));
        status = t == t1 ? NEURODE_SUCCESS : NEURODE_RUNNING;
        step_size = control.step_size;
        if (!control.adaptive && !__builtin_isnan(step_size)) {
            // A step count that is whole up to rounding is meant to be whole.
            mesh_count = static_cast<int64_t>(ceil(fabs(t1 - t) / step_size * (1 - 1e-9)));
        }
    }

    bool running() const { return status == NEURODE_RUNNING; }

    Interval propose(const Times& times, const neurode_control& control) {
        if (!control.adaptive) return constant(times);
        const double t_end = t + direction * size;
        // A rest too short to be a step of its own is taken along.
        if ((t1 - t_end) * direction <= 1e-3 * size) return {t, t1, anchor, last_anchor};
        return {t, t_end, anchor, -1};
    }

    // Take note of an attempted step; ratio: error over tolerance. True when it counts.
    bool take(const Interval& interval, double ratio, const neurode_control& control, int error_order, bool joint) {
        ++steps;
        bool accept = true;
        if (control.adaptive) {
            const double length = fabs(interval.t_end - interval.t);
            const Decision decision = judge(control, ratio, length, history, error_order);
            accept = decision.accept;
            size = decision.size;
            if (size < smallest || (!accept && length <= control.min_step * (1 + 1e-9)))
                status = __builtin_isfinite(ratio) ? NEURODE_STEP_TOO_SMALL : NEURODE_NON_FINITE;
            size = fmax(size, control.min_step);
        } else if (!joint && !__builtin_isfinite(ratio)) {
            accept = false;
            status = NEURODE_NON_FINITE;
        }
        if (accept) {
            ++accepted;
            t = interval.t_end;
            anchor = interval.anchor_end;
        }
        const bool arrived = accept && t == t1 && (joint || status == NEURODE_RUNNING);
        if (arrived) status = NEURODE_SUCCESS;
        if (status == NEURODE_RUNNING && steps >= control.max_steps) status = NEURODE_MAX_STEPS;
        return accept;
    }

private:
    // From one time to the next different one, or along a mesh of equal steps.
    Interval constant(const Times& times) {
        if (__builtin_isnan(step_size)) {
            int64_t row = mesh_row + 1;
            while (row < times.count - 1 && times.at(row) == t) ++row;
            mesh_row = row;
            return {t, times.at(row), anchor, row};
        }
        const int64_t row = accepted + 1;
        if (row >= mesh_count) return {t, t1, anchor, last_anchor};
        return {t, times.at(0) + direction * step_size * static_cast<double>(row), anchor, -1};
    }
};

}  // namespace NEURODE_VARIANT

#endif
