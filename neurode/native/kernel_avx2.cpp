#define NEURODE_VARIANT neurode_kernel_avx2
#include "kernel.inc"

const neurode_variant neurode_avx2 = {"avx2", neurode_kernel_avx2::forward, neurode_kernel_avx2::activations};
