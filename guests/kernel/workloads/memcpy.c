/* A copy loop of 64-bit words, 256 KB there and back: loads and stores in sequence. */
#include "workload.h"

enum { WORDS = 32768, COPIES = 8 };
static uint64_t here[WORDS], there[WORDS];

void memcpy_prepare(void)
{
	for (uint64_t i = 0; i < WORDS; i++)
		here[i] = i * 0x9e3779b97f4a7c15ull;
}

static void __attribute__((noinline)) INNERMOST copy(uint64_t *to, const uint64_t *from, size_t words)
{
	for (size_t i = 0; i < words; i++)
		to[i] = from[i];
}

WORKLOAD(memcpy)
{
	for (unsigned i = 0; i < COPIES; i += 2) {
		copy(there, here, WORDS);
		there[i] = here[i];
		copy(here, there, WORDS);
	}
	uint64_t sum = 0;
	for (uint32_t i = 0; i < WORDS; i++)
		sum = mix(sum, there[i]);
	return sum;
}
