/* Running the checks and printing what came out. */
#include "checking.h"
#include "options.h"
#include "print.h"

enum outcome { OK, FAILED, SKIPPED };
static enum outcome outcome;
static char explanation[320];

void check_failed(const char *what, uint64_t expected, uint64_t seen)
{
	if (outcome != OK)
		return;
	outcome = FAILED;
	format_text(explanation, sizeof explanation, "%s: expected %lx, seen %lx", what, expected, seen);
}

void check_probe_failed(const char *what)
{
	char text[220];
	if (outcome != OK)
		return;
	outcome = FAILED;
	probe_describe(text, sizeof text);
	format_text(explanation, sizeof explanation, "%s: %s", what, text);
}

void check_skip(const char *why)
{
	if (outcome != OK)
		return;
	outcome = SKIPPED;
	format_text(explanation, sizeof explanation, "%s", why);
}

static void run_check(const struct check *check)
{
	outcome = OK;
	machine_save();
	check->run();
	machine_restore();

	static const char *const words[] = { [OK] = "ok", [FAILED] = "FAILED", [SKIPPED] = "skipped" };
	print("  check %-30s ", check->name);
	print_colour(outcome == OK ? GOOD : outcome == FAILED ? BAD : DIM);
	print("%s", words[outcome]);
	print_colour(PLAIN);
	if (outcome != OK)
		print(": %s", explanation);
	if (outcome == FAILED)
		print(" [%s]", check->section);
	print("\n");
	if (options.machine)
		print("@check %s %s\n", check->name, words[outcome]);
}

static bool chosen(const struct check *check, const char *names)
{
	if (options.skip && name_listed(options.skip, check->name))
		return false;
	return !names || name_listed(names, check->name);
}

static void print_title(const char *title)
{
	print_colour(TITLE);
	print("\n  %s\n", title);
	print_colour(PLAIN);
}

bool checks_run(const char *names)
{
	unsigned counts[3] = { 0 };
	for (const struct check_group *const *group = check_groups; *group; group++) {
		bool titled = false;
		for (size_t i = 0; i < (*group)->count; i++) {
			const struct check *check = &(*group)->checks[i];
			if (!chosen(check, names))
				continue;
			if (!titled)
				print_title((*group)->name);
			titled = true;
			run_check(check);
			counts[outcome]++;
		}
	}
	print("\n  %u checks: %u ok, %u failed, %u skipped\n", counts[OK] + counts[FAILED] + counts[SKIPPED],
	      counts[OK], counts[FAILED], counts[SKIPPED]);
	return counts[FAILED] == 0;
}
