/*
 * Vectors for the workloads that use SSE2 or AVX2: gcc's vector types, whose
 * operators are one instruction each, and its builtins for what C has no
 * operator for. No header of a C library comes with them.
 */
#ifndef SIMD_H
#define SIMD_H

#include <stdint.h>

typedef double double2 __attribute__((vector_size(16)));
typedef int64_t int64x2 __attribute__((vector_size(16)));
typedef int32_t int32x4 __attribute__((vector_size(16)));
typedef int16_t int16x8 __attribute__((vector_size(16)));
typedef uint16_t uint16x8 __attribute__((vector_size(16)));
typedef uint8_t uint8x16 __attribute__((vector_size(16)));
typedef char char16 __attribute__((vector_size(16)));

/* The same where the address has no alignment. */
typedef int16_t int16x8_unaligned __attribute__((vector_size(16), aligned(1)));
typedef uint8_t uint8x16_unaligned __attribute__((vector_size(16), aligned(1)));

#define ALIGNED __attribute__((aligned(64)))

/* The bits of a double, for a checksum. */
static inline uint64_t bits_of(double value)
{
	uint64_t bits;
	__builtin_memcpy(&bits, &value, sizeof bits);
	return bits;
}

#endif
