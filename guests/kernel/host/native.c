/*
 * The workloads as a program for the host: the kernel's table, words and lines
 * (bench.c, options.c, print.c), with the operating system for the devices.
 *
 *	sh build.sh native FILE
 *	FILE 'machine scale=8'
 */
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include "../bench.h"
#include "../clock.h"
#include "../options.h"
#include "../serial.h"

uint8_t *host_code;
uint64_t tsc_hz;
const char *tsc_source = "CLOCK_MONOTONIC";
enum counter counter = COUNTER_NONE;

static uint64_t nanoseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The same 50 ms as the kernel takes with its PIT. */
void clock_init(void)
{
	uint64_t begin = nanoseconds(), ticks = read_tsc(), elapsed;
	do
		elapsed = nanoseconds() - begin;
	while (elapsed < 50000000);
	tsc_hz = (read_tsc() - ticks) * 1000000000 / elapsed;
}

uint64_t ticks_to_ns(uint64_t ticks)
{
	return (uint64_t)((unsigned __int128)ticks * 1000000000 / tsc_hz);
}

uint64_t instructions_retired(void)
{
	return 0;
}

void serial_put(char c)
{
	putchar(c);
}

int main(int count, char **arguments)
{
	host_code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (host_code == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	clock_init();
	if (count > 1)
		options_parse(arguments[1]);
	return bench_run(options.run, options.scale, options.rounds) ? 0 : 1;
}
