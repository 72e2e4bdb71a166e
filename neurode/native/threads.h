/* Workers: parts of one solve side by side. Compiled once, for every variant of the kernel. */
#ifndef NEURODE_THREADS_H
#define NEURODE_THREADS_H

#ifdef __cplusplus
extern "C" {
#endif

/* Calls part(context, 0) ... part(context, parts - 1) at the same time, part 0 in the calling thread, and returns when
 * all have returned. All run at once, so that they may wait for each other. */
void neurode_run_parts(int parts, void (*part)(void*, int), void* context);

#ifdef __cplusplus
}
#endif

#endif
