#ifndef NEURODE_SOLVE_BASE_H
#define NEURODE_SOLVE_BASE_H

#include "neurode.h"

// What the C interface holds without knowing the variant or the precision.

struct neurode_way_back {
    virtual ~neurode_way_back() = default;
    // A neurode_answer.
    virtual int32_t go_on() = 0;
};

struct neurode_solve {
    virtual ~neurode_solve() = default;
    // A neurode_answer.
    virtual int32_t go_on() = 0;
    // Null: out of memory.
    virtual neurode_way_back* way_back(const neurode_problem& problem, neurode_pullback& bars) = 0;
    virtual int64_t kept_bytes() const = 0;
    virtual void steps(const neurode_problem& problem, int64_t rows, void* values) const = 0;
    virtual void dense(const neurode_problem& problem, int64_t rows, void* starts, void* stages) const = 0;
    virtual void accepted(int64_t lane, int64_t accepted, double* t, double* t_end, int64_t* anchor,
                          int64_t* anchor_end) const = 0;
};

#endif
