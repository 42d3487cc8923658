#ifndef OPTIONS_H
#define OPTIONS_H

#include "cpu.h"

/* Words of the multiboot command line; README.md says what they mean. */
struct options {
	bool shell, machine, nocheck, nobench, calibrate;
	uint32_t scale;		/* of every workload; 1 unless given */
	uint32_t rounds;	/* run so many rounds instead of scale's; 0: not given */
	/* Comma-separated names, or null: workloads and checks to run (all), checks to leave out (none). */
	const char *run, *check, *skip;
};

extern struct options options;

void options_parse(const char *command_line);
/* True when name is in the comma-separated list. */
bool name_listed(const char *list, const char *name);
uint64_t parse_number(const char *text);

#endif
