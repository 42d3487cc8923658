#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include "cpu.h"
#include "selectors.h"

/* 64-bit TSS (SDM vol. 3, 7.7), with the whole I/O permission bitmap. */
struct __attribute__((packed)) tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map_base;
	uint8_t io_map[8192];
	uint8_t io_map_end;
};

extern struct tss tss;

/* Puts a descriptor, or half of one, into slot n of the GDT; gives its selector. */
uint16_t slot(unsigned n, uint64_t descriptor);
/* A gate of the IDT, half by half. */
void idt_set(unsigned vector, uint64_t low, uint64_t high);
/* GDT, TSS and IDT; IST 1 serves double faults, IST 2 whom a check gives it to. */
void descriptors_init(void);
/* Stack tops that the TSS names. */
uint64_t rsp0_top(void);
uint64_t ist_top(unsigned ist);
/* Lets the gate of a vector switch to an IST stack; 0: to none. */
void gate_set_ist(unsigned vector, unsigned ist);
/* IDTR with the given number of gates. */
void idt_load(unsigned gates);

#endif
