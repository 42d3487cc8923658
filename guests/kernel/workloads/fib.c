/* Fibonacci numbers by double recursion: calls, returns, pushes, pops. */
#include "workload.h"

enum { ARGUMENT = 24 };

/* build.sh keeps gcc from unrolling the recursion into itself. */
static uint32_t __attribute__((noinline, noclone)) INNERMOST fib(uint32_t n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

WORKLOAD(fib)
{
	static volatile uint32_t argument = ARGUMENT;
	return fib(argument);
}
