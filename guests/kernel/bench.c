/*
 * The workloads and their table of results. Checksums are from
 * host/checksums.c; sieve, sha256, crc32, quicksort, bytecode, smc and all from
 * nbody on also from host/checksums.py, which shares no line with the C.
 */
#include "bench.h"
#include "clock.h"
#include "options.h"
#include "print.h"
#include "units.h"
#ifdef __x86_64__
#include "workloads/counts.h"
#else
#include "workloads/counts32.h"
#endif
#include "workloads/workload.h"

static const struct workload workloads[] = {
	{ "sieve", NULL, sieve_round, 120, 0xc0eabd7198e, COUNT_SIEVE },
	{ "sha256", sha256_prepare, sha256_round, 35, 0xa6a98d7f309f68d8, COUNT_SHA256 },
	{ "crc32", crc32_prepare, crc32_round, 150, 0x662b121a, COUNT_CRC32 },
	{ "matrix", NULL, matrix_round, 25, 0xcbc91c42c33a1c00, COUNT_MATRIX },
	{ "quicksort", NULL, quicksort_round, 28, 0x593aac05a96ea792, COUNT_QUICKSORT },
	{ "bytecode", NULL, bytecode_round, 30, 0x65b1, COUNT_BYTECODE },
	{ "fib", NULL, fib_round, 75, 0xb520, COUNT_FIB },
	{ "chase", chase_prepare, chase_round, 40, 0x20007b5d100000, COUNT_CHASE },
	{ "memcpy", memcpy_prepare, memcpy_round, 100, 0x58a7c3cb7e9f0000, COUNT_MEMCPY },
	{ "calls", NULL, calls_round, 140, 0x7f6108357c419659, COUNT_CALLS },
	{ "stride", NULL, stride_round, 40, 0x5d1120f5b24f0000, COUNT_STRIDE },
	{ "repmovs", repmovs_prepare, repmovs_round, 300, 0xf57bf2a996cc431a, COUNT_REPMOVS },
	{ "smc", NULL, smc_round, 200, 0x719e98f1b0ed7f90, COUNT_SMC },
	{ "nbody", NULL, nbody_round, 55, 0x81eae85163ec91e5, COUNT_NBODY, UNIT_SSE2 },
	{ "mandelbrot", NULL, mandelbrot_round, 75, 0x520d4648c072cc0b, COUNT_MANDELBROT, UNIT_SSE2 },
	{ "daxpy", NULL, daxpy_round, 80, 0x7b82fbc32eae2418, COUNT_DAXPY, UNIT_SSE2 },
	{ "particles", NULL, particles_round, 110, 0x10df0e122abb0b3b, COUNT_PARTICLES, UNIT_SSE2 },
	{ "dgemm", dgemm_prepare, dgemm_round, 40, 0x3f118a229c6c8225, COUNT_DGEMM, UNIT_FMA },
	{ "convolve", NULL, convolve_round, 150, 0xc88b66a03c26af9, COUNT_CONVOLVE, UNIT_SSE2 },
	{ "motion", motion_prepare, motion_round, 190, 0xbd362897e7d378b5, COUNT_MOTION, UNIT_SSE2 },
	{ "blend", blend_prepare, blend_round, 125, 0xf833cc98734d8b73, COUNT_BLEND, UNIT_SSE2 },
	{ "lanes", lanes_prepare, lanes_round, 100, 0x2d6b3d6116537506, COUNT_LANES, UNIT_AVX2 },
	{ "x87", NULL, x87_round, 25, 0x321d2aecc1fc412, COUNT_X87, UNIT_X87 },
};
#define FOR_EACH_WORKLOAD(w) for (const struct workload *w = workloads; w < workloads + sizeof workloads / sizeof workloads[0]; w++)

struct result {
	bool ok;
	uint64_t instructions, ns;
};

static struct result run(const struct workload *w, uint64_t rounds)
{
	struct result result = { .ok = true };
	if (w->prepare)
		w->prepare();
	uint64_t instructions = instructions_retired(), ticks = read_tsc();
	for (uint64_t i = 0; i < rounds; i++)
		if (w->round() != w->checksum)
			result.ok = false;
	result.ns = ticks_to_ns(read_tsc() - ticks);
	result.instructions = counter == COUNTER_RDPMC ? instructions_retired() - instructions : w->instructions * rounds;
	return result;
}

/* Instructions per second, in units of 0.1 million. */
static uint64_t tenths_of_mips(const struct result *r)
{
	return r->ns ? r->instructions * 10000 / r->ns : 0;
}

/*
 * log2 as 32.32 fixed point, by squaring; and back. There is no FPU state
 * here, and a geometric mean needs a logarithm.
 */
static uint64_t log2_fixed(uint64_t x)
{
	unsigned whole = 63 - (unsigned)__builtin_clzll(x);
	uint64_t mantissa = whole > 31 ? x >> (whole - 31) : x << (31 - whole), fraction = 0;
	for (unsigned bit = 0; bit < 32; bit++) {
		mantissa = mantissa * mantissa >> 31;
		fraction <<= 1;
		if (mantissa >> 32) {
			mantissa >>= 1;
			fraction |= 1;
		}
	}
	return (uint64_t)whole << 32 | fraction;
}

static uint64_t power2_fixed(uint64_t y)
{
	uint64_t low = 1, high = 1ull << 40;
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		if (log2_fixed(middle) <= y)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void print_tenths(uint64_t tenths)
{
	if (tenths)
		print("%10lu.%lu", tenths / 10, tenths % 10);
	else
		print("%12s", "n/a");
}

static void print_result(const struct workload *w, const struct result *r)
{
	print("  %-11s ", w->name);
	print_colour(r->ok ? GOOD : BAD);
	print("%-8s", r->ok ? "ok" : "WRONG");
	print_colour(PLAIN);
	if (r->instructions)
		print("%14lu", r->instructions);
	else
		print("%14s", "n/a");
	print_tenths(r->ns / 100000);
	print_tenths(tenths_of_mips(r));
	print("\n");
	if (options.machine)
		print("@bench %s %s %lu %lu\n", w->name, r->ok ? "ok" : "bad", r->instructions, r->ns);
}

static void print_skipped(const struct workload *w, const char *why)
{
	print("  %-11s ", w->name);
	print_colour(DIM);
	print("skipped: %s\n", why);
	print_colour(PLAIN);
	if (options.machine)
		print("@skipped %s %s\n", w->name, why);
}

bool bench_run(const char *names, uint32_t scale, uint32_t rounds)
{
	bool ok = true;
	uint64_t logarithms = 0, measured = 0;
	print_colour(TITLE);
	print("\n  %-11s %-8s%14s%12s%12s\n", "workload", "checksum", "instructions", "ms", "MIPS");
	print_colour(PLAIN);
	FOR_EACH_WORKLOAD(w) {
		if (names && !name_listed(names, w->name))
			continue;
		const char *missing = unit_missing(w->unit);
		if (missing) {
			print_skipped(w, missing);
			continue;
		}
		struct result r = run(w, rounds ? rounds : (uint64_t)w->rounds * scale);
		print_result(w, &r);
		ok &= r.ok;
		uint64_t mips = tenths_of_mips(&r);
		if (mips) {
			logarithms += log2_fixed(mips);
			measured++;
		}
	}
	print("  %-46s", "geometric mean");
	print_tenths(measured ? power2_fixed(logarithms / measured) : 0);
	print("\n");
	return ok;
}

void bench_calibrate(void)
{
	if (counter == COUNTER_NONE) {
		print("/* no counter: from the TSC, which counts under qemu -icount shift=0 only, and every REP iteration */\n");
		counter = COUNTER_TSC;
	}
	FOR_EACH_WORKLOAD(w) {
		if (unit_missing(w->unit))
			continue;
		char name[16] = "";
		for (size_t i = 0; w->name[i]; i++)
			name[i] = w->name[i] >= 'a' ? w->name[i] - 32 : w->name[i];
		if (w->prepare)
			w->prepare();
		w->round();
		uint64_t before = instructions_retired();
		w->round();
		print("#define COUNT_%s %lu\n", name, instructions_retired() - before);
	}
	if (counter == COUNTER_TSC)
		counter = COUNTER_NONE;
}
