#ifndef CLOCK_H
#define CLOCK_H

#include "cpu.h"

void clock_init(void);
/* TSC ticks per second, 0 when nobody says. */
extern uint64_t tsc_hz;
/* Where the rate is from, in words. */
extern const char *tsc_source;
uint64_t ticks_to_ns(uint64_t ticks);

/* Where instruction counts come from. */
enum counter { COUNTER_NONE, COUNTER_RDPMC, COUNTER_TSC };
extern enum counter counter;
/* Instructions retired so far; 0 with COUNTER_NONE. */
uint64_t instructions_retired(void);

#endif
