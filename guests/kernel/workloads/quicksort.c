/* Quicksort of 16384 words through a comparison function: unpredictable branches, indirect calls. */
#include "workload.h"

enum { COUNT = 16384 };
static uint32_t items[COUNT];

typedef int comparison(const void *, const void *);

static int __attribute__((noinline)) ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void __attribute__((noinline)) INNERMOST sort(uint32_t *first, uint32_t *last, comparison *compare)
{
	while (first < last) {
		uint32_t pivot = first[(last - first) / 2];
		uint32_t *i = first, *j = last;
		while (i <= j) {
			while (compare(i, &pivot) < 0)
				i++;
			while (compare(j, &pivot) > 0)
				j--;
			if (i > j)
				break;
			uint32_t t = *i;
			*i++ = *j;
			*j-- = t;
		}
		sort(first, j, compare);
		first = i;
	}
}

WORKLOAD(quicksort)
{
	/* Read through a volatile, or gcc specialises sort() and calls directly. */
	static comparison *volatile chosen = ascending;
	uint32_t state = 1;
	for (uint32_t i = 0; i < COUNT; i++)
		items[i] = lcg_next(&state);
	sort(items, items + COUNT - 1, chosen);
	uint64_t sum = 0;
	for (uint32_t i = 0; i < COUNT; i++)
		sum = mix(sum, items[i]);
	return sum;
}
