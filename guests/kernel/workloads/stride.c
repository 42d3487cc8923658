/* 4 KB strides over 8 MB: every access is on another page, so the TLB is what counts. */
#include "workload.h"

enum { PAGES = 2048, WORDS_PER_PAGE = 512, PASSES = 256 };
static uint64_t pages[PAGES][WORDS_PER_PAGE];

INNERMOST WORKLOAD(stride)
{
	for (uint32_t page = 0; page < PAGES; page++)
		pages[page][0] = page;
	for (uint32_t pass = 0; pass < PASSES; pass++)
		for (uint32_t page = 0; page < PAGES; page++)
			pages[page][0] += pass ^ page;
	uint64_t sum = 0;
	for (uint32_t page = 0; page < PAGES; page++)
		sum = mix(sum, pages[page][0]);
	return sum;
}
