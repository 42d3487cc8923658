/* The checks of the real-mode kernel. */
#ifndef CHECK_H
#define CHECK_H

#include "../checking.h"
#include "far.h"
#include "layout.h"
#include "traps.h"

extern const struct check_group address_group, interrupt_group, excursion_group;

/* Code that is copied elsewhere before it runs; NAME_end is behind it. */
#define MOVED(name, code) \
	asm(".pushsection .text\n.balign 16\n.code16\n" #name ":\n\t" code "\n" #name "_end:\n.code16gcc\n\t.popsection"); \
	extern const char name[], name##_end[]
/* Copies it to segment:offset. */
#define MOVE(segment, offset, name) far_copy(segment, offset, name, (size_t)(name##_end - name))

/* In routines, call and ret have 32-bit operands unless they say otherwise (.code16gcc). */
#define AT(vector, place) TRAP(vector, 0, 0, (uintptr_t)place)

/* Jumps to DX:AX. */
extern routine go_far;

#endif
