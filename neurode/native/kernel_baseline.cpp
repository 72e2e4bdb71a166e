#define NEURODE_VARIANT neurode_kernel_baseline
#include "kernel.inc"

const neurode_variant neurode_baseline = {"baseline", neurode_kernel_baseline::forward,
                                          neurode_kernel_baseline::activations};
