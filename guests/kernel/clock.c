/*
 * Time and instruction counts. The TSC's rate is in CPUID leaf 0x15 (SDM
 * vol. 3, 18.7.3); where that is empty, PIT channel 2 measures it, gated and
 * read through port 0x61. Instructions retired are fixed counter 0 of the
 * performance counters; one attempt at RDPMC tells whether there is one.
 */
#include "clock.h"
#include "print.h"
#include "traps.h"

enum {
	PIT_HZ = 1193182, PIT_COUNT = 59659,	/* 50 ms */
	PIT_CHANNEL2 = 0x42, PIT_COMMAND = 0x43, PIT_CHANNEL2_MODE0 = 0xb0,
	PORT_B = 0x61, PORT_B_GATE2 = 0x01, PORT_B_SPEAKER = 0x02, PORT_B_OUT2 = 0x20,
};

uint64_t tsc_hz;
const char *tsc_source = "unknown";
enum counter counter;

static uint64_t tsc_hz_from_cpuid(void)
{
	if (cpuid(0, 0).eax < 0x15)
		return 0;
	struct cpuid r = cpuid(0x15, 0);
	return r.eax && r.ebx && r.ecx ? (uint64_t)r.ecx * r.ebx / r.eax : 0;
}

static uint64_t tsc_hz_from_pit(void)
{
	uint8_t port_b = in8(PORT_B) & ~(PORT_B_GATE2 | PORT_B_SPEAKER);
	out8(PORT_B, port_b | PORT_B_GATE2);
	out8(PIT_COMMAND, PIT_CHANNEL2_MODE0);
	out8(PIT_CHANNEL2, PIT_COUNT & 0xff);
	out8(PIT_CHANNEL2, PIT_COUNT >> 8);
	if (in8(PORT_B) & PORT_B_OUT2)
		return 0;	/* counted down at once: no PIT */
	uint64_t begin = read_tsc();
	for (uint32_t polls = 0; !(in8(PORT_B) & PORT_B_OUT2); polls++)
		if (polls == 50000000)
			return 0;
	uint64_t ticks = read_tsc() - begin;
	out8(PORT_B, port_b);
	return ticks * PIT_HZ / PIT_COUNT;
}

#ifdef __x86_64__
asm(".text\n"
    "probe_retired:\n\t"
    "movl $0x40000000, %ecx\n\t"
    "rdpmc\n\t"
    "shlq $32, %rdx\n\t"
    "orq %rdx, %rax\n\t"
    "ret");
extern routine probe_retired;
#endif

uint64_t instructions_retired(void)
{
	if (counter == COUNTER_RDPMC) {
		uint32_t low, high;
		asm volatile("rdpmc" : "=a"(low), "=d"(high) : "c"(0x40000000) : "memory");
		return (uint64_t)high << 32 | low;
	}
	return counter == COUNTER_TSC ? read_tsc() : 0;
}

#ifdef __x86_64__
static bool retired_counts(void)
{
	const struct expectation returns = { .vector = NO_TRAP };
	if (!probe(&returns, probe_retired, 0, 0, 0))
		return false;
	uint64_t before = probe_result;
	return probe(&returns, probe_retired, 0, 0, 0) && probe_result > before;
}
#else
/* The 32-bit kernel takes no traps, so it can not try. */
static bool retired_counts(void)
{
	return false;
}
#endif

void clock_init(void)
{
	tsc_source = "CPUID 0x15";
	tsc_hz = tsc_hz_from_cpuid();
	if (!tsc_hz) {
		tsc_source = "PIT";
		tsc_hz = tsc_hz_from_pit();
	}
	if (!tsc_hz)
		tsc_source = "unknown";
	counter = retired_counts() ? COUNTER_RDPMC : COUNTER_NONE;
}

uint64_t ticks_to_ns(uint64_t ticks)
{
	if (!tsc_hz)
		return 0;
	return ticks / tsc_hz * 1000000000 + ticks % tsc_hz * 1000000000 / tsc_hz;
}
