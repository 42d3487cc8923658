/* y = a x + y over vectors of doubles that lie in the first cache: packed loads, multiply, add, store. */
#include "workload.h"
#include "simd.h"

enum { LENGTH = 2048, PASSES = 256 };
static double x[LENGTH] ALIGNED, y[LENGTH] ALIGNED;

static void __attribute__((noinline)) INNERMOST daxpy(double a)
{
	const double2 factor = { a, a };
	for (unsigned i = 0; i < LENGTH; i += 2)
		*(double2 *)(y + i) += factor * *(const double2 *)(x + i);
}

WORKLOAD(daxpy)
{
	for (unsigned i = 0; i < LENGTH; i++) {
		x[i] = (double)(int)(i % 97 - 48) * 0.015625;
		y[i] = i;
	}
	for (unsigned pass = 0; pass < PASSES; pass++)
		daxpy(pass & 1 ? -0.3 : 0.7);
	uint64_t sum = 0;
	for (unsigned i = 0; i < LENGTH; i++)
		sum = mix(sum, bits_of(y[i]));
	return sum;
}
