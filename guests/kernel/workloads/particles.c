/*
 * Particles in a box that they bounce off, counted by cell: scalar floats with
 * everything that such code has, conversions both ways, comparisons, division
 * and square root.
 */
#include "workload.h"

enum { PARTICLES = 256, STEPS = 128, CELLS = 32 };
static float place[PARTICLES], speed[PARTICLES];
static uint32_t cells[CELLS];

static void __attribute__((noinline)) INNERMOST step(float drag)
{
	for (unsigned i = 0; i < PARTICLES; i++) {
		float v = speed[i], p = place[i] + v * 0.125f;
		if (p < 0 || p >= CELLS) {
			v = -v;
			p = p < 0 ? -p : 2 * CELLS - p;
		}
		int cell = (int)p;	/* towards zero */
		float middle = (float)cell + 0.5f, distance = p - middle;
		/* Towards the middle of its cell, and slower the faster it is. */
		v -= distance / (1 + distance * distance);
		v -= v * drag * __builtin_sqrtf(v < 0 ? -v : v);
		cells[cell & (CELLS - 1)] += 1;
		speed[i] = v;
		place[i] = p > CELLS ? CELLS : p;
	}
}

WORKLOAD(particles)
{
	uint32_t state = 1;
	for (unsigned i = 0; i < PARTICLES; i++) {
		place[i] = (float)(int)(lcg_next(&state) >> 8) * (CELLS / 16777216.0f);
		speed[i] = (float)((int)(lcg_next(&state) >> 8) - 8388608) * (1 / 1048576.0f);
	}
	for (unsigned i = 0; i < CELLS; i++)
		cells[i] = 0;
	for (unsigned i = 0; i < STEPS; i++)
		step(0.0078125f);
	uint64_t sum = 0;
	for (unsigned i = 0; i < CELLS; i++)
		sum = mix(sum, cells[i]);
	for (unsigned i = 0; i < PARTICLES; i++) {
		uint32_t bits;
		__builtin_memcpy(&bits, &place[i], sizeof bits);
		sum = mix(sum, bits);
	}
	return sum;
}
