/* Product of two 96 x 96 matrices of 32-bit integers: multiply and add, two strides. */
#include "workload.h"

enum { N = 96 };
static uint32_t a[N][N], b[N][N], c[N][N];

INNERMOST WORKLOAD(matrix)
{
	for (uint32_t i = 0; i < N; i++)
		for (uint32_t j = 0; j < N; j++) {
			a[i][j] = i * 7 + j * 13 + 1;
			b[i][j] = i * 31 ^ j * 17;
		}
	for (uint32_t i = 0; i < N; i++)
		for (uint32_t j = 0; j < N; j++) {
			uint32_t sum = 0;
			for (uint32_t n = 0; n < N; n++)
				sum += a[i][n] * b[n][j];
			c[i][j] = sum;
		}
	uint64_t sum = 0;
	for (uint32_t i = 0; i < N; i++)
		for (uint32_t j = 0; j < N; j++)
			sum = mix(sum, c[i][j]);
	return sum;
}
