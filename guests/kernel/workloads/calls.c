/* Virtual calls: objects of four kinds, each with a table of three functions, in random order. */
#include "workload.h"

enum { OBJECTS = 1024, PASSES = 40, KINDS = 4 };

struct object;
struct methods {
	uint64_t (*area)(const struct object *);
	void (*grow)(struct object *, uint64_t);
	uint64_t (*weigh)(const struct object *, uint64_t);
};
static struct object {
	const struct methods *methods;
	uint64_t width, height;
} objects[OBJECTS];

static uint64_t area_square(const struct object *o) { return o->width * o->width; }
static uint64_t area_box(const struct object *o) { return o->width * o->height; }
static uint64_t area_frame(const struct object *o) { return 2 * (o->width + o->height); }
static uint64_t area_point(const struct object *o) { return o->width ^ o->height; }
static void grow_wide(struct object *o, uint64_t by) { o->width += by; }
static void grow_high(struct object *o, uint64_t by) { o->height += by; }
static void grow_both(struct object *o, uint64_t by) { o->width += by; o->height -= by; }
static void grow_not(struct object *o, uint64_t by) { o->width ^= by & 1; }
static uint64_t weigh_light(const struct object *o, uint64_t x) { return x + o->width; }
static uint64_t weigh_heavy(const struct object *o, uint64_t x) { return x * 3 + o->height; }

static const struct methods kinds[KINDS] = {
	{ area_square, grow_wide, weigh_light },
	{ area_box, grow_high, weigh_heavy },
	{ area_frame, grow_both, weigh_heavy },
	{ area_point, grow_not, weigh_light },
};

static void reset(void)
{
	uint32_t state = 1;
	for (uint32_t i = 0; i < OBJECTS; i++) {
		uint32_t r = lcg_next(&state);
		objects[i] = (struct object){ &kinds[r >> 30], r >> 16 & 0xff, r >> 8 & 0xff };
	}
}

INNERMOST WORKLOAD(calls)
{
	uint64_t sum = 0;
	reset();
	for (uint32_t pass = 0; pass < PASSES; pass++)
		for (uint32_t i = 0; i < OBJECTS; i++) {
			struct object *o = &objects[i];
			uint64_t area = o->methods->area(o);
			o->methods->grow(o, area & 3);
			sum = o->methods->weigh(o, sum ^ area);
		}
	return sum;
}
