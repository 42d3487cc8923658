/*
 * Division of 64-bit integers, which gcc leaves to functions of these names.
 * No workload divides while it is timed, so one bit a step is fast enough.
 */
#include <stdint.h>

uint64_t __udivmoddi4(uint64_t dividend, uint64_t divisor, uint64_t *remainder)
{
	uint64_t quotient = 0, rest = 0;
	for (int bit = 63; bit >= 0; bit--) {
		uint64_t carry = rest >> 63;
		rest = rest << 1 | (dividend >> bit & 1);
		if (carry || rest >= divisor) {
			rest -= divisor;
			quotient |= 1ull << bit;
		}
	}
	if (remainder)
		*remainder = rest;
	return quotient;
}

uint64_t __udivdi3(uint64_t dividend, uint64_t divisor)
{
	return __udivmoddi4(dividend, divisor, 0);
}

uint64_t __umoddi3(uint64_t dividend, uint64_t divisor)
{
	uint64_t remainder;
	__udivmoddi4(dividend, divisor, &remainder);
	return remainder;
}
