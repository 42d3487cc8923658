/* A shell on the serial console. */
#include "shell.h"
#include "bench.h"
#include "checking.h"
#include "faults.h"
#include "identity.h"
#include "options.h"
#include "print.h"
#include "serial.h"
#include "traps.h"

enum { LINE_BYTES = 80, WORDS = 4, CTRL_C = 3, BACKSPACE = 8, CTRL_U = 21, DELETE = 127 };

static void erase(size_t characters)
{
	while (characters--)
		print("\b \b");
}

/* Reads a line with echo. ^C gives it up, and leaves it empty. */
static void read_line(char *line)
{
	size_t length = 0;
	for (;;) {
		char c = serial_get();
		if (c == '\r' || c == '\n') {
			print("\n");
			break;
		} else if (c == CTRL_C) {
			print("^C\n");
			length = 0;
			break;
		} else if (c == CTRL_U) {
			erase(length);
			length = 0;
		} else if ((c == BACKSPACE || c == DELETE) && length) {
			erase(1);
			length--;
		} else if (c >= ' ' && c < DELETE && length < LINE_BYTES - 1) {
			line[length++] = c;
			serial_put(c);
		}
	}
	line[length] = 0;
}

static unsigned split(char *line, const char *words[WORDS])
{
	unsigned count = 0;
	for (char *at = line; *at && count < WORDS;) {
		while (*at == ' ')
			*at++ = 0;
		if (!*at)
			break;
		words[count++] = at;
		while (*at && *at != ' ')
			at++;
	}
	return count;
}

static void command_bench(unsigned count, const char *const words[])
{
	uint32_t scale = count > 2 ? (uint32_t)parse_number(words[2]) : options.scale;
	bench_run(count > 1 ? words[1] : NULL, scale ? scale : 1, options.rounds);
}

static void command_check(unsigned count, const char *const words[])
{
	checks_run(count > 1 ? words[1] : NULL);
}

static void command_fault(unsigned count, const char *const words[])
{
	if (count < 2 || !fault_provoke(words[1]))
		fault_list();
}

static void command_regs(unsigned count, const char *const words[])
{
	(void)count, (void)words;
	registers_print();
}

/* Sixteen bytes a line, until the length or the first byte that cannot be read. */
static void command_mem(unsigned count, const char *const words[])
{
	if (count < 2) {
		print("mem ADDR [LEN]\n");
		return;
	}
	uint64_t address = parse_number(words[1]), length = count > 2 ? parse_number(words[2]) : 64;
	for (uint64_t at = 0; at < length; at += 16) {
		char text[17] = "";
		print("  %016lx ", address + at);
		for (unsigned i = 0; i < 16 && at + i < length; i++) {
			uint8_t byte;
			if (!memory_read(address + at + i, &byte)) {
				print("\n  cannot read %lx: %s(%lx)\n", address + at + i, trap_name(last_trap.frame.vector), last_trap.frame.error);
				return;
			}
			print(" %02x", byte);
			text[i] = byte >= ' ' && byte < DELETE ? (char)byte : '.';
		}
		print("  %s\n", text);
	}
}

static void command_cpuid(unsigned count, const char *const words[])
{
	(void)count, (void)words;
	static const uint32_t ranges[] = { 0, 0x40000000, 0x80000000 };
	identity_print();
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
		uint32_t last = cpuid(ranges[i], 0).eax;
		if (last < ranges[i] || last > ranges[i] + 0x40)
			continue;
		for (uint32_t leaf = ranges[i]; leaf <= last; leaf++) {
			struct cpuid r = cpuid(leaf, 0);
			print("  %08x  eax %08x  ebx %08x  ecx %08x  edx %08x\n", leaf, r.eax, r.ebx, r.ecx, r.edx);
		}
	}
}

static void command_calibrate(unsigned count, const char *const words[])
{
	(void)count, (void)words;
	bench_calibrate();
}

static void command_help(unsigned count, const char *const words[]);

static const struct command {
	const char *name, *arguments, *help;
	void (*run)(unsigned count, const char *const words[]);
} commands[] = {
	{ "help", "", "this list", command_help },
	{ "bench", "[NAME [SCALE]]", "run workloads; NAME may be a list with commas", command_bench },
	{ "check", "[NAME]", "run the self checks; NAME may be a list with commas", command_check },
	{ "fault", "[KIND]", "provoke a fault and show its registers", command_fault },
	{ "regs", "", "show the registers", command_regs },
	{ "mem", "ADDR [LEN]", "show memory; numbers are decimal, or 0x...", command_mem },
	{ "cpuid", "", "show what CPUID says", command_cpuid },
	{ "calibrate", "", "print the lines of workloads/counts.h", command_calibrate },
	{ "poweroff", "", "leave", NULL },
};
#define FOR_EACH_COMMAND(c) for (const struct command *c = commands; c < commands + sizeof commands / sizeof commands[0]; c++)

static void command_help(unsigned count, const char *const words[])
{
	(void)count, (void)words;
	FOR_EACH_COMMAND(c)
		print("  %-10s%-15s%s\n", c->name, c->arguments, c->help);
}

void shell_run(void)
{
	char line[LINE_BYTES];
	print("\ntype help for the commands\n");
	for (;;) {
		const char *words[WORDS];
		print_colour(TITLE);
		print("guest64> ");
		print_colour(PLAIN);
		read_line(line);
		unsigned count = split(line, words);
		if (!count)
			continue;
		const struct command *command = NULL;
		FOR_EACH_COMMAND(c)
			if (same_text(words[0], c->name))
				command = c;
		if (!command)
			print("no command `%s'; help lists them\n", words[0]);
		else if (!command->run)
			return;
		else
			command->run(count, words);
	}
}
