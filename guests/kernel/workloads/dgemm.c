/* Product of two 128 x 128 matrices of doubles: fused multiply-add on vectors of four, a block of 4 x 8 in registers. */
#include "workload.h"
#include "simd.h"

typedef double double4 __attribute__((vector_size(32)));

enum { N = 128 };
static double a[N][N] ALIGNED, b[N][N] ALIGNED, c[N][N] ALIGNED;

static void __attribute__((noinline)) INNERMOST block(unsigned row, unsigned column)
{
	double4 sums[4][2] = { 0 };
	for (unsigned n = 0; n < N; n++) {
		double4 left = *(const double4 *)&b[n][column], right = *(const double4 *)&b[n][column + 4];
#pragma GCC unroll 4
		for (unsigned i = 0; i < 4; i++) {
			double one = a[row + i][n];
			double4 factor = { one, one, one, one };
			sums[i][0] = __builtin_ia32_vfmaddpd256(factor, left, sums[i][0]);
			sums[i][1] = __builtin_ia32_vfmaddpd256(factor, right, sums[i][1]);
		}
	}
#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++) {
		*(double4 *)&c[row + i][column] = sums[i][0];
		*(double4 *)&c[row + i][column + 4] = sums[i][1];
	}
}

void dgemm_prepare(void)
{
	uint32_t state = 11;
	for (unsigned i = 0; i < N; i++)
		for (unsigned j = 0; j < N; j++) {
			a[i][j] = (double)(int)(lcg_next(&state) >> 1) / 3.0;
			b[i][j] = (double)(int)(lcg_next(&state) >> 1) / 7.0;
		}
}

WORKLOAD(dgemm)
{
	for (unsigned row = 0; row < N; row += 4)
		for (unsigned column = 0; column < N; column += 8)
			block(row, column);
	uint64_t sum = 0;
	for (unsigned i = 0; i < N; i++)
		for (unsigned j = 0; j < N; j++)
			sum = mix(sum, bits_of(c[i][j]));
	return sum;
}
