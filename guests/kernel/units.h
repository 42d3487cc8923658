/* The FPU, SSE and AVX, which no code uses but the workloads that are about them. */
#ifndef UNITS_H
#define UNITS_H

#include "workloads/workload.h"

/* Turns on what CPUID has. */
void units_init(void);
/* Why a unit can not be used, or null. */
const char *unit_missing(enum unit unit);

#endif
