// How long a call may take before it comes back unfinished, so that its caller can look up.
#ifndef NEURODE_PATIENCE_H
#define NEURODE_PATIENCE_H

#include <stdint.h>
#include <time.h>

#include "vec.h"

namespace NEURODE_VARIANT {

class Patience {
public:
    // seconds: 0 for no limit. products: multiplications between one question and the next.
    Patience(double seconds, double products) : seconds_(seconds) {
        const double most = 2e6 / (products > 1 ? products : 1);
        between_ = most < 1 ? 1 : most > 64 ? 64 : static_cast<int>(most);
    }
    void begin() {
        if (seconds_ > 0) end_ = now() + seconds_;
        asked_ = 0;
    }
    // The clock is read once in a while only: a short step takes as long as a few readings.
    bool is_over() {
        if (seconds_ <= 0 || ++asked_ < between_) return false;
        asked_ = 0;
        return now() > end_;
    }

private:
    static double now() {
        timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
    }
    const double seconds_;
    double end_ = 0;
    int between_ = 1, asked_ = 0;
};

}  // namespace NEURODE_VARIANT

#endif
