/*
 * A workload is a piece of C that runs in rounds. Every round begins from the
 * same state and returns the same checksum, so any number of rounds can be
 * verified. The files build on the host as well: host/checksums.c.
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

/* What of the processor a workload needs beside its general registers; CPUID may not have it. */
enum unit { UNIT_GENERAL, UNIT_X87, UNIT_SSE2, UNIT_AVX2, UNIT_FMA };

struct workload {
	const char *name;
	void (*prepare)(void);	/* builds what rounds only read; may be null */
	uint64_t (*round)(void);
	uint32_t rounds;	/* at scale 1 */
	uint64_t checksum;
	uint64_t instructions;	/* per round, from counts.h */
	enum unit unit;
};

#define WORKLOAD(name) uint64_t name##_round(void)

/* The code where a workload spends its time; link.ld puts it first, and where build.sh says. */
#define INNERMOST __attribute__((section(".text.innermost")))

WORKLOAD(sieve);
WORKLOAD(sha256);
WORKLOAD(crc32);
WORKLOAD(matrix);
WORKLOAD(quicksort);
WORKLOAD(bytecode);
WORKLOAD(fib);
WORKLOAD(chase);
WORKLOAD(memcpy);
WORKLOAD(calls);
WORKLOAD(stride);
WORKLOAD(repmovs);
WORKLOAD(smc);
WORKLOAD(nbody);
WORKLOAD(mandelbrot);
WORKLOAD(daxpy);
WORKLOAD(particles);
WORKLOAD(dgemm);
WORKLOAD(convolve);
WORKLOAD(motion);
WORKLOAD(blend);
WORKLOAD(lanes);
WORKLOAD(x87);

void sha256_prepare(void);
void crc32_prepare(void);
void chase_prepare(void);
void memcpy_prepare(void);
void repmovs_prepare(void);
void dgemm_prepare(void);
void motion_prepare(void);
void blend_prepare(void);
void lanes_prepare(void);

/* Numerical Recipes' linear congruential generator; the high bits are good enough. */
static inline uint32_t lcg_next(uint32_t *state)
{
	return *state = *state * 1664525u + 1013904223u;
}

/* Order-sensitive mix of a value into a checksum (FNV-1a's step on 64 bits). */
static inline uint64_t mix(uint64_t sum, uint64_t value)
{
	return (sum ^ value) * 0x100000001b3ull;
}

#endif
