#ifndef PRINT_H
#define PRINT_H

#include <stdarg.h>
#include "cpu.h"

/*
 * %s %c %d %u %x %%; all integers are 64 bits wide when prefixed with l, else
 * 32. A width pads with spaces, '-' pads on the right, '0' with zeros; '*' as
 * width takes an int.
 */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same into text of at most `bytes` bytes, always terminated. */
void format_text(char *text, size_t bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));

enum colour { PLAIN, GOOD, BAD, DIM, TITLE };
/* Switches to the colour; prints nothing unless the `color` word was given. */
void print_colour(enum colour colour);
extern bool colours_wanted;

#endif
