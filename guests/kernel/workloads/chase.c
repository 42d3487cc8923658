/* A chase through 65536 nodes of 64 bytes in random order: 4 MB, one load depends on the other. */
#include "workload.h"

enum { NODES = 65536, PASSES = 8 };

static struct node {
	struct node *next;
	uint64_t label[7] __attribute__((aligned(8)));	/* 64 bytes in 32-bit code, too */
} nodes[NODES] __attribute__((aligned(64)));

/* Sattolo's shuffle: a permutation that is one single cycle. */
void chase_prepare(void)
{
	static uint32_t order[NODES];
	uint32_t state = 1;
	for (uint32_t i = 0; i < NODES; i++)
		order[i] = i;
	for (uint32_t i = NODES - 1; i > 0; i--) {
		uint32_t j = (lcg_next(&state) >> 8) % i, t = order[i];
		order[i] = order[j];
		order[j] = t;
	}
	for (uint32_t i = 0; i < NODES; i++) {
		nodes[i].next = &nodes[order[i]];
		nodes[i].label[0] = i;
	}
}

INNERMOST WORKLOAD(chase)
{
	const struct node *at = nodes;
	uint64_t sum = 0;
	for (uint32_t i = 0; i < NODES * PASSES; i++) {
		sum += at->label[0] ^ i;
		at = at->next;
	}
	return sum << 16 | (uint64_t)(at - nodes);
}
