#ifndef FAULTS_H
#define FAULTS_H

#include "cpu.h"

/* Provokes the fault of that name, prints its registers and returns; false: no such name. */
bool fault_provoke(const char *kind);
/* The names, for help. */
void fault_list(void);
/* All registers, as an INT finds them. */
void registers_print(void);
/* A byte of memory; false: reading it faults, and last_trap says how. */
bool memory_read(uint64_t address, uint8_t *value);

#endif
