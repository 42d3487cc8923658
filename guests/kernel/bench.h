#ifndef BENCH_H
#define BENCH_H

#include "cpu.h"

/*
 * Runs the workloads that the comma-separated list names (null: all) and
 * prints the table. False when a checksum was wrong.
 */
bool bench_run(const char *names, uint32_t scale, uint32_t rounds);
/* Prints counts.h anew, from the counter or, under qemu -icount shift=0, the TSC. */
void bench_calibrate(void);

#endif
