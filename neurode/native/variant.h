/* What each variant of the kernel offers to api.cpp. */
#ifndef NEURODE_VARIANT_H
#define NEURODE_VARIANT_H

#include "neurode.h"

struct neurode_variant {
    const char* name;
    neurode_solve* (*forward)(const neurode_problem&, const neurode_outcome&);
    void (*activate)(int32_t, int32_t, int64_t, const void*, void*, void*);
};

extern const neurode_variant neurode_baseline, neurode_avx2, neurode_avx512;

#endif
