/* A filter of eight taps over 16-bit samples, eight outputs at a time: PMADDWD, PADDD, PSRAD, PACKSSDW. */
#include "workload.h"
#include "simd.h"

enum { SAMPLES = 4096, TAPS = 8, PASSES = 32 };
static int16_t samples[SAMPLES + TAPS] ALIGNED, filtered[SAMPLES] ALIGNED;
static const int16_t taps[TAPS] = { -1311, 2622, 9175, 19661, 14418, 5243, -3932, 655 };

static void __attribute__((noinline)) INNERMOST filter(void)
{
	int16x8 pairs[TAPS / 2];
	for (unsigned i = 0; i < TAPS / 2; i++)
		pairs[i] = (int16x8){ taps[2 * i], taps[2 * i + 1], taps[2 * i], taps[2 * i + 1],
		                      taps[2 * i], taps[2 * i + 1], taps[2 * i], taps[2 * i + 1] };
	for (unsigned at = 0; at < SAMPLES; at += 8) {
		const int32x4 half = { 1 << 14, 1 << 14, 1 << 14, 1 << 14 };
		int32x4 low = half, high = half;
#pragma GCC unroll 4
		for (unsigned i = 0; i < TAPS / 2; i++) {
			int16x8 even = *(const int16x8_unaligned *)(samples + at + 2 * i);
			int16x8 odd = *(const int16x8_unaligned *)(samples + at + 2 * i + 1);
			low += __builtin_ia32_pmaddwd128(__builtin_ia32_punpcklwd128(even, odd), pairs[i]);
			high += __builtin_ia32_pmaddwd128(__builtin_ia32_punpckhwd128(even, odd), pairs[i]);
		}
		*(int16x8 *)(filtered + at) = __builtin_ia32_packssdw128(low >> 15, high >> 15);
	}
}

WORKLOAD(convolve)
{
	uint32_t state = 7;
	for (unsigned i = 0; i < SAMPLES + TAPS; i++)
		samples[i] = (int16_t)(lcg_next(&state) >> 16);
	for (unsigned pass = 0; pass < PASSES; pass++) {
		filter();
		for (unsigned i = 0; i < SAMPLES; i += 8)
			*(uint16x8 *)(samples + i) = *(const uint16x8 *)(filtered + i) + 1;
	}
	uint64_t sum = 0;
	for (unsigned i = 0; i < SAMPLES; i++)
		sum = mix(sum, (uint16_t)filtered[i]);
	return sum;
}
