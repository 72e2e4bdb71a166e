// The C interface, and which variant of the kernel serves it: the best that this machine can run.
#include <string.h>

#include <atomic>

#include "solve_base.h"
#include "variant.h"

namespace {

bool runs_here(const neurode_variant& variant) {
#if defined(NEURODE_X86_VARIANTS)
    __builtin_cpu_init();
    if (&variant == &neurode_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("fma");
    if (&variant == &neurode_avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return &variant == &neurode_baseline;
}

#if defined(NEURODE_X86_VARIANTS)
const neurode_variant* const variants[] = {&neurode_avx512, &neurode_avx2, &neurode_baseline};
#else
const neurode_variant* const variants[] = {&neurode_baseline};
#endif

const neurode_variant* best() {
    for (const neurode_variant* variant : variants)
        if (runs_here(*variant)) return variant;
    return &neurode_baseline;
}

std::atomic<const neurode_variant*> chosen{nullptr};

const neurode_variant& variant() {
    const neurode_variant* known = chosen.load(std::memory_order_acquire);
    if (known == nullptr) {
        known = best();
        chosen.store(known, std::memory_order_release);
    }
    return *known;
}

}  // namespace

int32_t neurode_abi(void) { return NEURODE_ABI; }

const char* neurode_variant_name(void) {
#if defined(__aarch64__)
    return "neon";
#else
    return variant().name;
#endif
}

int32_t neurode_use_variant(const char* name) {
    for (const neurode_variant* one : variants) {
        if (strcmp(one->name, name) != 0 || !runs_here(*one)) continue;
        chosen.store(one, std::memory_order_release);
        return 1;
    }
    return 0;
}

int32_t neurode_forward(const neurode_problem* problem, neurode_outcome* outcome, neurode_solve** solve) {
    if (*solve == nullptr) *solve = variant().forward(*problem, *outcome);
    return *solve == nullptr ? NEURODE_OUT_OF_MEMORY : (*solve)->go_on();
}

int32_t neurode_backward(const neurode_problem* problem, neurode_solve* solve, neurode_pullback* bars,
                         neurode_way_back** way) {
    if (*way == nullptr) *way = solve->way_back(*problem, *bars);
    if (*way == nullptr) return NEURODE_OUT_OF_MEMORY;
    const int32_t answer = (*way)->go_on();
    if (answer == NEURODE_UNFINISHED) return answer;
    delete *way;
    *way = nullptr;
    return answer;
}

void neurode_abandon(neurode_way_back* way) { delete way; }

int64_t neurode_kept_bytes(const neurode_solve* solve) { return solve->kept_bytes(); }

void neurode_steps(const neurode_problem* problem, const neurode_solve* solve, int64_t rows, void* values) {
    solve->steps(*problem, rows, values);
}

void neurode_dense(const neurode_problem* problem, const neurode_solve* solve, int64_t rows, void* starts,
                   void* stages) {
    solve->dense(*problem, rows, starts, stages);
}

void neurode_accepted(const neurode_solve* solve, int64_t lane, int64_t accepted, double* t, double* t_end,
                      int64_t* anchor, int64_t* anchor_end) {
    solve->accepted(lane, accepted, t, t_end, anchor, anchor_end);
}

void neurode_free(neurode_solve* solve) { delete solve; }

void neurode_activate(int32_t activation, int32_t dtype, int64_t n, const void* z, void* value, void* slope) {
    variant().activate(activation, dtype, n, z, value, slope);
}
