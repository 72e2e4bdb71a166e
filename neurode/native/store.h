/* Memory for what solves keep: handed back, it waits for the next one. Fresh memory costs a page fault every 4 KiB, which
 * for a small solve is more than its arithmetic. Compiled once, for every variant of the kernel. */
#ifndef NEURODE_STORE_H
#define NEURODE_STORE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Memory aligned to cache lines, of any contents; null where there is none. bytes: a multiple of 64. */
void* neurode_take_memory(size_t bytes);
/* Hand it back. */
void neurode_give_memory(void* memory, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
