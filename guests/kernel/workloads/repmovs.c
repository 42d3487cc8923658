/* REP MOVSQ (REP MOVSL in 32-bit code) and REP MOVSB in blocks of 4 KB: few instructions, many bytes. */
#include "workload.h"

enum { BLOCK = 4096, BLOCKS = 32 };
static uint8_t from[BLOCKS][BLOCK], to[BLOCKS][BLOCK];

void repmovs_prepare(void)
{
	uint32_t state = 1;
	for (uint32_t block = 0; block < BLOCKS; block++)
		for (uint32_t i = 0; i < BLOCK; i++)
			from[block][i] = (uint8_t)(lcg_next(&state) >> 24);
}

static void move_words(void *to, const void *from, size_t bytes)
{
#ifdef __x86_64__
	size_t words = bytes / 8;
	asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) :: "memory");
#else
	size_t words = bytes / 4;
	asm volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(words) :: "memory");
#endif
}

static void move_bytes(void *to, const void *from, size_t bytes)
{
	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) :: "memory");
}

/* Blocks swap ends; one word of each goes into the checksum. */
INNERMOST WORKLOAD(repmovs)
{
	for (uint32_t block = 0; block < BLOCKS; block++)
		for (uint32_t i = 0; i < BLOCK; i += 512)
			to[block][i] = 0;
	for (uint32_t block = 0; block < BLOCKS; block++) {
		if (block % 4)
			move_words(to[block], from[BLOCKS - 1 - block], BLOCK);
		else
			move_bytes(to[block], from[BLOCKS - 1 - block], BLOCK);
	}
	uint64_t sum = 0;
	for (uint32_t block = 0; block < BLOCKS; block++)
		for (uint32_t i = 0; i < BLOCK; i += 512)
			sum = mix(sum, to[block][i]);
	return sum;
}
