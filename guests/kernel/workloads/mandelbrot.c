/* The Mandelbrot set, two points at a time: packed doubles, compared and counted without a branch for each point. */
#include "workload.h"
#include "simd.h"

enum { WIDTH = 64, HEIGHT = 48, MOST = 256 };

/* The steps until each of two points is out, MOST at most. */
static int64x2 __attribute__((noinline)) INNERMOST escape(double2 cx, double2 cy)
{
	const double2 four = { 4, 4 };
	double2 x = cx, y = cy;
	int64x2 steps = { 0, 0 };
	for (unsigned i = 0; i < MOST; i++) {
		double2 xx = x * x, yy = y * y;
		int64x2 inside = (int64x2)(xx + yy <= four);
		if (!__builtin_ia32_movmskpd((double2)inside))
			break;
		steps -= inside;	/* all ones is -1 */
		double2 xy = x * y;
		x = xx - yy + cx;
		y = xy + xy + cy;
	}
	return steps;
}

WORKLOAD(mandelbrot)
{
	uint64_t sum = 0;
	for (unsigned row = 0; row < HEIGHT; row++)
		for (unsigned column = 0; column < WIDTH; column += 2) {
			double2 cx = { -2 + 2.75 / WIDTH * column, -2 + 2.75 / WIDTH * (column + 1) };
			double2 cy = { -1.25 + 2.5 / HEIGHT * row, -1.25 + 2.5 / HEIGHT * row };
			int64x2 steps = escape(cx, cy);
			sum = mix(sum, (uint64_t)steps[0]);
			sum = mix(sum, (uint64_t)steps[1]);
		}
	return sum;
}
