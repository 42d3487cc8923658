/* The command line. Unknown words are ignored: loaders put the file's name there. */
#include "options.h"
#include "print.h"

struct options options = { .scale = 1 };

static char words[512];

static const char *after(const char *word, const char *prefix)
{
	size_t n = strlen(prefix);
	return memcmp(word, prefix, n) == 0 ? word + n : NULL;
}

/* Decimal, or hexadecimal after 0x; stops at the first other character. */
uint64_t parse_number(const char *s)
{
	uint64_t value = 0;
	unsigned base = 10;
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	for (;; s++) {
		unsigned digit = 99;
		if (*s >= '0' && *s <= '9')
			digit = (unsigned)(*s - '0');
		else if ((*s | 32) >= 'a' && (*s | 32) <= 'f')
			digit = (unsigned)((*s | 32) - 'a' + 10);
		if (digit >= base)
			return value;
		value = value * base + digit;
	}
}

bool name_listed(const char *list, const char *name)
{
	size_t n = strlen(name);
	for (;;) {
		const char *end = list;
		while (*end && *end != ',')
			end++;
		if ((size_t)(end - list) == n && memcmp(list, name, n) == 0)
			return true;
		if (!*end)
			return false;
		list = end + 1;
	}
}

static void take_word(const char *word)
{
	const struct {
		const char *word;
		bool *flag;
	} flags[] = {
		{ "shell", &options.shell }, { "machine", &options.machine }, { "nocheck", &options.nocheck },
		{ "nobench", &options.nobench }, { "calibrate", &options.calibrate }, { "color", &colours_wanted },
	};
	const char *value;
	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (same_text(word, flags[i].word))
			*flags[i].flag = true;
	if ((value = after(word, "scale=")) && parse_number(value))
		options.scale = (uint32_t)parse_number(value);
	if ((value = after(word, "rounds=")))
		options.rounds = (uint32_t)parse_number(value);
	if ((value = after(word, "run=")))
		options.run = value;
	if ((value = after(word, "check=")))
		options.check = value;
	if ((value = after(word, "skip=")))
		options.skip = value;
}

void options_parse(const char *command_line)
{
	size_t length = strlen(command_line);
	if (length >= sizeof words)
		length = sizeof words - 1;
	memcpy(words, command_line, length);
	words[length] = 0;
	for (char *at = words; *at;) {
		while (*at == ' ')
			at++;
		char *word = at;
		while (*at && *at != ' ')
			at++;
		if (*at)
			*at++ = 0;
		if (*word)
			take_word(word);
	}
}
