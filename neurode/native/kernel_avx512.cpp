#define NEURODE_VARIANT neurode_kernel_avx512
#include "kernel.inc"

const neurode_variant neurode_avx512 = {"avx512", neurode_kernel_avx512::forward, neurode_kernel_avx512::activations};
