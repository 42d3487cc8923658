/* Where in the next picture a block of 16 x 16 pixels has gone, as video encoders search it: PSADBW, PADDD. */
#include "workload.h"
#include "simd.h"

enum { WIDTH = 128, HEIGHT = 64, SIDE = 16, REACH = 8 };
static uint8_t before[HEIGHT][WIDTH] ALIGNED, after[HEIGHT][WIDTH] ALIGNED;

static unsigned __attribute__((noinline)) INNERMOST difference(const uint8_t *a, const uint8_t *b)
{
	int64x2 sums = { 0, 0 };
	for (unsigned row = 0; row < SIDE; row++)
		sums += (int64x2)__builtin_ia32_psadbw128((char16)*(const uint8x16_unaligned *)(a + row * WIDTH),
		                                          (char16)*(const uint8x16_unaligned *)(b + row * WIDTH));
	return (unsigned)(sums[0] + sums[1]);
}

/* The best place for the block at (x, y): its distance, row and column in one number, of which the smallest wins. */
static uint32_t search(unsigned x, unsigned y)
{
	uint32_t best = -1u;
	for (unsigned row = y - REACH; row <= y + REACH; row++)
		for (unsigned column = x - REACH; column <= x + REACH; column++) {
			uint32_t found = difference(&before[y][x], &after[row][column]) << 16 | row << 8 | column;
			if (found < best)
				best = found;
		}
	return best;
}

void motion_prepare(void)
{
	uint32_t state = 3;
	for (unsigned y = 0; y < HEIGHT; y++)
		for (unsigned x = 0; x < WIDTH; x++)
			before[y][x] = (uint8_t)(lcg_next(&state) >> 24);
	/* Moved by (3, 5), with noise. */
	for (unsigned y = 0; y < HEIGHT; y++)
		for (unsigned x = 0; x < WIDTH; x++)
			after[y][x] = (uint8_t)(before[(y - 5) % HEIGHT][(x - 3) % WIDTH] ^ (lcg_next(&state) >> 30));
}

WORKLOAD(motion)
{
	uint64_t sum = 0;
	for (unsigned y = REACH; y + SIDE + REACH <= HEIGHT; y += SIDE)
		for (unsigned x = REACH; x + SIDE + REACH <= WIDTH; x += SIDE)
			sum = mix(sum, search(x, y));
	return sum;
}
