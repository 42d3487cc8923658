/* Sums, products, quotients and square roots of 80-bit numbers on the x87 stack, from integers and back to memory. */
#include "workload.h"

enum { TERMS = 32768 };

static void __attribute__((noinline)) INNERMOST series(long double results[4])
{
	long double zeta = 0, wallis = 1, roots = 0, chain = 1;
	for (int n = 1; n <= TERMS; n++) {
		long double k = n, square = k * k;
		zeta += 1 / square;
		wallis *= 1 - 1 / (4 * square);
		roots += __builtin_sqrtl(k);
		chain = k / (chain + 2) + 0.5L;
	}
	results[0] = zeta;
	results[1] = wallis;
	results[2] = roots;
	results[3] = chain;
}

WORKLOAD(x87)
{
	long double results[4];
	series(results);
	uint64_t sum = 0;
	for (unsigned i = 0; i < 4; i++) {
		struct {
			uint64_t significand;
			uint16_t exponent;
		} parts;
		__builtin_memcpy(&parts.significand, &results[i], 8);
		__builtin_memcpy(&parts.exponent, (const char *)&results[i] + 8, 2);
		sum = mix(sum, parts.significand);
		sum = mix(sum, parts.exponent);
	}
	return sum;
}
