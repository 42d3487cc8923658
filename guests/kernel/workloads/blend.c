/*
 * One picture over another with an alpha for each byte, then brightened and
 * clipped: unpacking, 16-bit multiplication, PACKUSWB, saturating addition,
 * minimum, maximum, average, comparison and masks.
 */
#include "workload.h"
#include "simd.h"

enum { BYTES = 8192, PASSES = 32 };
static uint8_t over[BYTES] ALIGNED, under[BYTES] ALIGNED, alpha[BYTES] ALIGNED;

/* (a * alpha + b * (255 - alpha) + 128) / 255, rounded, in 16 bits. */
static inline uint16x8 weighted(char16 a, char16 b, char16 weight)
{
	const uint16x8 all = { 255, 255, 255, 255, 255, 255, 255, 255 };
	uint16x8 w = (uint16x8)weight, t = (uint16x8)a * w + (uint16x8)b * (all - w) + 128;
	return (t + (t >> 8)) >> 8;
}

static void __attribute__((noinline)) INNERMOST blend(void)
{
	const char16 zero = { 0 };
	const uint8x16 low = { 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16 };
	const uint8x16 high = ~low;
	for (unsigned at = 0; at < BYTES; at += 16) {
		char16 a = *(const char16 *)(over + at), b = *(const char16 *)(under + at), w = *(const char16 *)(alpha + at);
		uint16x8 first = weighted(__builtin_ia32_punpcklbw128(a, zero), __builtin_ia32_punpcklbw128(b, zero),
		                          __builtin_ia32_punpcklbw128(w, zero));
		uint16x8 second = weighted(__builtin_ia32_punpckhbw128(a, zero), __builtin_ia32_punpckhbw128(b, zero),
		                           __builtin_ia32_punpckhbw128(w, zero));
		char16 mixed = __builtin_ia32_packuswb128((int16x8)first, (int16x8)second);
		mixed = __builtin_ia32_paddusb128(mixed, (char16)low);
		uint8x16 clipped = (uint8x16)__builtin_ia32_pminub128(__builtin_ia32_pmaxub128(mixed, (char16)low), (char16)high);
		uint8x16 average = (uint8x16)__builtin_ia32_pavgb128((char16)clipped, b);
		/* Where the alpha is odd, the average. */
		uint8x16 odd = (uint8x16)(((uint8x16)w & 1) == 1);
		*(uint8x16 *)(under + at) = (average & odd) | (clipped & ~odd);
	}
}

void blend_prepare(void)
{
	uint32_t state = 5;
	for (unsigned i = 0; i < BYTES; i++) {
		over[i] = (uint8_t)(lcg_next(&state) >> 24);
		alpha[i] = (uint8_t)(lcg_next(&state) >> 24);
	}
}

WORKLOAD(blend)
{
	for (unsigned i = 0; i < BYTES; i++)
		under[i] = (uint8_t)(i ^ i >> 5);
	for (unsigned pass = 0; pass < PASSES; pass++)
		blend();
	uint64_t sum = 0;
	for (unsigned i = 0; i < BYTES; i++)
		sum = mix(sum, under[i]);
	return sum;
}
