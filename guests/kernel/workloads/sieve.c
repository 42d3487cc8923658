/* Sieve of Eratosthenes on 64 KB of bytes: byte stores in short strided loops. */
#include "workload.h"

enum { LIMIT = 65536 };
static uint8_t composite[LIMIT];

INNERMOST WORKLOAD(sieve)
{
	for (uint32_t i = 0; i < LIMIT; i++)
		composite[i] = 0;
	uint64_t count = 0, sum = 0;
	for (uint32_t i = 2; i < LIMIT; i++) {
		if (composite[i])
			continue;
		count++;
		sum += i;
		for (uint32_t j = i * 2; j < LIMIT; j += i)
			composite[j] = 1;
	}
	return sum << 16 | count;
}
