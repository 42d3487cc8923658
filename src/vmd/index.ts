/** vmd(8) as a library: machines that boot kernels, on top of vmm(4). */
export { EXIT_PORT } from './devices/exit-port.ts'
export type { Host } from './host.ts'
export { LoaderError } from './loader/index.ts'
export { type CodeSymbol, codeSymbols } from './loader/symbol-table.ts'
export { type ExitEvent, Machine, type MachineConfig, type Statistics } from './machine.ts'
export { GB, KB, MB } from './memory-map.ts'
export type { Outcome } from './vcpu.ts'
