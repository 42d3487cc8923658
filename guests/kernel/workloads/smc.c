/*
 * Self-modifying code: writes another immediate into `movl $imm32, %eax; ret`
 * and calls it, 1000 times a round.
 */
#include "workload.h"

enum { PATCHES = 1000 };

#ifdef HOST_CODE
extern uint8_t *host_code;
#define code host_code
#else
static uint8_t code[4096] __attribute__((aligned(4096)));
#endif

INNERMOST WORKLOAD(smc)
{
	/* From offset 3, so that the immediate is aligned. */
	volatile uint8_t *patched = code + 3;
	patched[0] = 0xb8;
	patched[5] = 0xc3;
	uint64_t sum = 0;
	for (uint32_t i = 0; i < PATCHES; i++) {
		*(volatile uint32_t *)(patched + 1) = i * 2654435761u;
		sum = mix(sum, ((uint32_t (*)(void))(uintptr_t)patched)());
	}
	return sum;
}
