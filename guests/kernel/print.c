/* Formatted printing to the console or into a buffer. */
#include "print.h"
#include "serial.h"

bool colours_wanted;

/* Where characters go: the console when text is null. */
struct sink {
	char *text;
	size_t room;
};

static void put(struct sink *sink, char c)
{
	if (sink->text) {
		if (sink->room > 1) {
			*sink->text++ = c;
			sink->room--;
		}
		return;
	}
	if (c == '\n')
		serial_put('\r');
	serial_put(c);
}

static void put_padded(struct sink *sink, const char *s, size_t length, int width, bool left, char pad)
{
	int missing = width - (int)length;
	if (!left)
		while (missing-- > 0)
			put(sink, pad);
	for (size_t i = 0; i < length; i++)
		put(sink, s[i]);
	if (left)
		while (missing-- > 0)
			put(sink, ' ');
}

static void put_number(struct sink *sink, uint64_t value, unsigned base, bool negative, int width, bool left, char pad)
{
	char digits[24];
	size_t at = sizeof digits;
	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (negative)
		digits[--at] = '-';
	put_padded(sink, digits + at, sizeof digits - at, width, left, pad);
}

static void put_format(struct sink *sink, const char *f, va_list args)
{
	for (; *f; f++) {
		if (*f != '%') {
			put(sink, *f);
			continue;
		}
		f++;
		bool left = *f == '-';
		if (left)
			f++;
		char pad = *f == '0' ? '0' : ' ';
		int width = 0;
		if (*f == '*') {
			width = va_arg(args, int);
			f++;
		}
		while (*f >= '0' && *f <= '9')
			width = width * 10 + *f++ - '0';
		bool wide = *f == 'l';
		if (wide)
			f++;
		switch (*f) {
		case 's': {
			const char *s = va_arg(args, const char *);
			put_padded(sink, s, strlen(s), width, left, ' ');
			break;
		}
		case 'c':
			put(sink, (char)va_arg(args, int));
			break;
		case 'd': {
			int64_t v = wide ? va_arg(args, int64_t) : va_arg(args, int32_t);
			put_number(sink, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0, width, left, pad);
			break;
		}
		case 'u':
		case 'x': {
			uint64_t v = wide ? va_arg(args, uint64_t) : va_arg(args, uint32_t);
			put_number(sink, v, *f == 'x' ? 16 : 10, false, width, left, pad);
			break;
		}
		default:
			put(sink, *f);
		}
	}
}

void print(const char *format, ...)
{
	struct sink console = { 0 };
	va_list args;
	va_start(args, format);
	put_format(&console, format, args);
	va_end(args);
}

void format_text(char *text, size_t bytes, const char *format, ...)
{
	struct sink buffer = { text, bytes };
	va_list args;
	va_start(args, format);
	put_format(&buffer, format, args);
	va_end(args);
	*buffer.text = 0;
}

void print_colour(enum colour colour)
{
	static const char *const escapes[] = {
		[PLAIN] = "\033[0m", [GOOD] = "\033[32m", [BAD] = "\033[1;31m", [DIM] = "\033[2m", [TITLE] = "\033[1;36m",
	};
	if (colours_wanted)
		print("%s", escapes[colour]);
}
