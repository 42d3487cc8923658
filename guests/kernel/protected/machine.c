/* What surrounds a check of the 32-bit kernel, and code that many checks use. */
#include "check.h"
#include "../identity.h"

const struct check_group *const check_groups[] = {
	&segment_group, &limit_group, &transfer_group, &gate_group, &interrupt_group, &task_group, &v86_group, &page_group,
	&debug_group, &float_group, &system_group,
	NULL,
};

uint8_t scratch[SCRATCH_PAGES][PAGE_BYTES] __attribute__((aligned(4096)));
static uint8_t user_stack[PAGE_BYTES] __attribute__((aligned(4096)));

#define SHARED(name, code) ROUTINE(name, ".global " #name "\n\t" code)
SHARED(exit_now, EXIT);
SHARED(landing, "movl (%esp), %eax\n\tmovl 4(%esp), %ebx\n\tmovl 8(%esp), %ecx\n\tmovl 12(%esp), %edx\n\t"
	"movl 16(%esp), %esi\n\tmovl 20(%esp), %edi\n\t" EXIT);
SHARED(landing16, "movzwl (%esp), %eax\n\tmovzwl 2(%esp), %ebx\n\tmovzwl 4(%esp), %ecx\n\tmovzwl 6(%esp), %edx\n\t"
	"movzwl 8(%esp), %esi\n\tmovzwl 10(%esp), %edi\n\t" EXIT);
SHARED(load_ds, "movl %eax, %ds\n\tret");
SHARED(load_es, "movl %eax, %es\n\tret");
SHARED(load_fs, "movl %eax, %fs\n\tret");
SHARED(load_gs, "movl %eax, %gs\n\tret");
SHARED(load_ss, "movl %eax, %ss\n\tret");
SHARED(jump_far, "ljmpl *(%eax)");
SHARED(call_far, "lcalll *(%eax)\n\tret");

uintptr_t user_stack_top(void)
{
	return (uintptr_t)user_stack + PAGE_BYTES - 64;
}

void prepare_ring(unsigned ring, const char *routine, uintptr_t a, uintptr_t b)
{
	static const struct {
		uint16_t cs, ss;
	} selectors[] = { { KERNEL_CS, KERNEL_DS }, { RING1_CS, RING1_DS }, { 0, 0 }, { USER_CS, USER_DS } };
	uint16_t data = selectors[ring].ss;
	start = (struct start){
		.ds = data, .es = data, .fs = data, .gs = data, .eax = a, .edx = b,
		.eip = (uintptr_t)routine, .cs = selectors[ring].cs, .eflags = RFLAGS_FIXED, .esp = user_stack_top(), .ss = data,
	};
}

void prepare_v86(const char *code, const char *end, unsigned iopl)
{
	memcpy((void *)(V86_CODE + V86_IP), code, (size_t)(end - code));
	start = (struct start){
		.eip = V86_IP, .cs = V86_CODE >> 4, .eflags = RFLAGS_VM | RFLAGS_FIXED | iopl << 12, .esp = 0x1000, .ss = V86_STACK >> 4,
		.v86_es = V86_DATA >> 4, .v86_ds = V86_DATA >> 4, .v86_fs = V86_DATA >> 4, .v86_gs = V86_DATA >> 4,
	};
}

bool run_start(const struct expectation *expected)
{
	struct expectation e = *expected;
	if (e.rip == 0)
		e.rip = start.eip;
	return probe(&e, enter_start, 0, 0, 0);
}

uint16_t short_code(unsigned n)
{
	static const uint8_t exit[] = { 0xcd, USER_EXIT_VECTOR };
	memcpy((void *)V86_CODE, exit, sizeof exit);
	memcpy((void *)(V86_CODE + 0x100), exit, sizeof exit);
	return slot(n, segment(V86_CODE, 0xff, CODE_RX, BIG));
}

static uint32_t cr0, cr4;

void machine_save(void)
{
	cr0 = read_cr0();
	cr4 = read_cr4();
}

void machine_restore(void)
{
	trap_hook = NULL;
	write_cr0(cr0);
	write_cr3(0);
	write_cr4(cr4);
	if (has_efer())
		write_msr(IA32_EFER, 0);
	write_dr7(0x400);
	write_dr0(0);
	write_dr1(0);
	write_dr2(0);
	write_dr3(0);
	tables_init();
}
