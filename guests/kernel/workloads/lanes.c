/*
 * Eight hashes side by side in AVX2 registers: multiplication, rotation by
 * shifts that differ from lane to lane, VPSHUFB, VPERMD, unsigned maximum.
 */
#include "workload.h"
#include "simd.h"

typedef int32_t int32x8 __attribute__((vector_size(32)));
typedef uint32_t uint32x8 __attribute__((vector_size(32)));
typedef char char32 __attribute__((vector_size(32)));

enum { VECTORS = 1024, PASSES = 64 };
static uint32x8 words[VECTORS];

static uint32x8 __attribute__((noinline)) INNERMOST hash(uint32x8 state)
{
	const uint32x8 left = { 5, 7, 9, 11, 13, 17, 19, 23 }, right = 32 - left;
	const int32x8 next = { 3, 6, 1, 4, 7, 2, 5, 0 };
	const char32 swapped = { 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12,
	                         2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13 };
	for (unsigned i = 0; i < VECTORS; i++) {
		uint32x8 x = state ^ words[i];
		x *= 0x9e3779b1;
		x = x << left | x >> right;
		x += (uint32x8)__builtin_ia32_pshufb256((char32)words[i], swapped);
		x = (uint32x8)__builtin_ia32_permvarsi256((int32x8)x, next);
		state = x + (uint32x8)__builtin_ia32_pmaxud256((int32x8)x, (int32x8)state);
	}
	return state;
}

void lanes_prepare(void)
{
	uint32_t state = 9;
	for (unsigned i = 0; i < VECTORS; i++)
		for (unsigned lane = 0; lane < 8; lane++)
			words[i][lane] = lcg_next(&state);
}

WORKLOAD(lanes)
{
	uint32x8 state = { 1, 2, 3, 4, 5, 6, 7, 8 };
	for (unsigned pass = 0; pass < PASSES; pass++)
		state = hash(state);
	uint64_t sum = 0;
	for (unsigned lane = 0; lane < 8; lane++)
		sum = mix(sum, state[lane]);
	return sum;
}
