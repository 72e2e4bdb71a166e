// Where the workers of a joint solve meet, once an attempted step.
#ifndef NEURODE_BARRIER_H
#define NEURODE_BARRIER_H

#include <sched.h>

#include "array.h"

namespace NEURODE_VARIANT {

class Barrier {
public:
    explicit Barrier(int parts) : parts_(parts) {}

    void wait() {
        if (parts_ <= 1) return;
        const int round = __atomic_load_n(&round_, __ATOMIC_ACQUIRE);
        if (__atomic_add_fetch(&arrived_, 1, __ATOMIC_ACQ_REL) == parts_) {
            __atomic_store_n(&arrived_, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&round_, round + 1, __ATOMIC_RELEASE);
            return;
        }
        // The others are a fraction of a step away; on a busy machine they may need this very core.
        for (int look = 0; __atomic_load_n(&round_, __ATOMIC_ACQUIRE) == round; ++look) {
            if (__atomic_load_n(&broken_, __ATOMIC_ACQUIRE)) throw OutOfMemory();
            if (look > 2000) sched_yield();
        }
    }
    // A worker gave up: nobody waits for it.
    void leave() { __atomic_store_n(&broken_, 1, __ATOMIC_RELEASE); }

private:
    const int parts_;
    alignas(64) int arrived_ = 0;
    alignas(64) int round_ = 0;
    alignas(64) int broken_ = 0;
};

}  // namespace NEURODE_VARIANT

#endif
