/* Five bodies that attract each other, in steps: scalar doubles, a square root and a division for each pair. */
#include "workload.h"
#include "simd.h"

enum { BODIES = 5, STEPS = 4000 };

struct body {
	double x, y, z, vx, vy, vz, mass;
};

/* A heavy one in the middle and four around it, each a little off the plane. */
static const struct body beginning[BODIES] = {
	{ 0, 0, 0, 0, 0, 0, 40 },
	{ 1, 0, 0.125, 0, 6.25, 0, 0.03125 },
	{ 0, 2.5, -0.25, -4, 0, 0.0625, 0.0078125 },
	{ -5, 0.5, 0.5, -0.25, -2.75, 0, 0.015625 },
	{ 0.25, -9, 1, 2.125, 0, -0.125, 0.00390625 },
};
static struct body bodies[BODIES];

static void __attribute__((noinline)) INNERMOST advance(double dt)
{
	for (unsigned i = 0; i < BODIES; i++) {
		struct body *a = &bodies[i];
		for (unsigned j = i + 1; j < BODIES; j++) {
			struct body *b = &bodies[j];
			double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
			double square = dx * dx + dy * dy + dz * dz;
			double pull = dt / (square * __builtin_sqrt(square));
			a->vx -= dx * b->mass * pull;
			a->vy -= dy * b->mass * pull;
			a->vz -= dz * b->mass * pull;
			b->vx += dx * a->mass * pull;
			b->vy += dy * a->mass * pull;
			b->vz += dz * a->mass * pull;
		}
	}
	for (unsigned i = 0; i < BODIES; i++) {
		struct body *a = &bodies[i];
		a->x += dt * a->vx;
		a->y += dt * a->vy;
		a->z += dt * a->vz;
	}
}

WORKLOAD(nbody)
{
	for (unsigned i = 0; i < BODIES; i++)
		bodies[i] = beginning[i];
	for (unsigned step = 0; step < STEPS; step++)
		advance(0.0009765625);
	uint64_t sum = 0;
	for (unsigned i = 0; i < BODIES; i++) {
		sum = mix(sum, bits_of(bodies[i].x));
		sum = mix(sum, bits_of(bodies[i].y));
		sum = mix(sum, bits_of(bodies[i].z));
	}
	return sum;
}
