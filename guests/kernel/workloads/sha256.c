/*
 * SHA-256 (FIPS 180-4) of 64 KB: rotates, shifts, adds in a long straight line.
 * The constants are computed as the standard defines them, from the fractional
 * parts of cube roots and square roots of the first primes.
 */
#include <stdbool.h>
#include "workload.h"

enum { BYTES = 65536 };
static uint8_t message[BYTES];
static uint32_t k[64], initial[8];

/*
 * True when x, which has 32 fraction bits, to the power 2 or 3 is below n: by
 * multiplication of 32-bit digits, for 32-bit code has no wider integers.
 */
static bool power_below(uint64_t x, unsigned power, uint32_t n)
{
	enum { DIGITS = 5 };
	uint32_t product[DIGITS] = { (uint32_t)x, (uint32_t)(x >> 32) };
	for (unsigned exponent = 1; exponent < power; exponent++) {
		uint32_t next[DIGITS] = { 0 };
		for (unsigned place = 0; place < 2; place++) {
			uint64_t digit = (uint32_t)(x >> 32 * place), carry = 0;
			for (unsigned i = 0; i + place < DIGITS; i++) {
				carry += digit * product[i] + next[i + place];
				next[i + place] = (uint32_t)carry;
				carry >>= 32;
			}
		}
		for (unsigned i = 0; i < DIGITS; i++)
			product[i] = next[i];
	}
	return product[power] < n;	/* the digit before the point; x is below 32 */
}

/* The first 32 bits of the fraction of n's square or cube root, by bisection. */
static uint32_t root_fraction(uint32_t n, unsigned power)
{
	uint64_t low = 0, high = (uint64_t)32 << 32;
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		if (power_below(middle, power, n))
			low = middle;
		else
			high = middle;
	}
	return (uint32_t)low;
}

void sha256_prepare(void)
{
	unsigned found = 0;
	for (uint32_t n = 2; found < 64; n++) {
		uint32_t divisor = 2;
		while (n % divisor)
			divisor++;
		if (divisor != n)
			continue;
		if (found < 8)
			initial[found] = root_fraction(n, 2);
		k[found++] = root_fraction(n, 3);
	}
	uint32_t state = 1;
	for (uint32_t i = 0; i < BYTES; i++)
		message[i] = (uint8_t)(lcg_next(&state) >> 24);
}

static inline uint32_t rotate(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static inline uint32_t big_endian(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void __attribute__((noinline)) INNERMOST hash_block(uint32_t h[8], const uint8_t *block)
{
	uint32_t w[64];
	for (unsigned t = 0; t < 16; t++)
		w[t] = big_endian(block + t * 4);
	for (unsigned t = 16; t < 64; t++) {
		uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
		uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
		w[t] = w[t - 16] + s0 + w[t - 7] + s1;
	}
	uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], hh = h[7];
	for (unsigned t = 0; t < 64; t++) {
		uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
		uint32_t t1 = hh + s1 + ((e & f) ^ (~e & g)) + k[t] + w[t];
		uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
		uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
		hh = g; g = f; f = e; e = d + t1;
		d = c; c = b; b = a; a = t1 + t2;
	}
	h[0] += a; h[1] += b; h[2] += c; h[3] += d;
	h[4] += e; h[5] += f; h[6] += g; h[7] += hh;
}

/* The first eight bytes of the digest. */
WORKLOAD(sha256)
{
	uint32_t h[8];
	for (unsigned i = 0; i < 8; i++)
		h[i] = initial[i];
	for (uint32_t at = 0; at < BYTES; at += 64)
		hash_block(h, message + at);
	uint8_t last[64] = { 0x80 };
	for (unsigned i = 0; i < 8; i++)
		last[56 + i] = (uint8_t)((uint64_t)BYTES * 8 >> (56 - i * 8));
	hash_block(h, last);
	return (uint64_t)h[0] << 32 | h[1];
}
