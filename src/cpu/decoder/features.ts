/** CPUID features that the opcode table names, and the condition codes in the order of their encoding. */

export const FEATURES = [
  'x87', 'mmx', 'sse', 'sse2', 'sse3', 'ssse3', 'sse41', 'sse42', 'sse4a', 'aes', 'pclmulqdq', 'sha',
  'avx', 'avx2', 'fma', 'f16c', 'bmi1', 'bmi2', 'lzcnt', 'popcnt', 'adx', 'movbe', 'cmov', 'cx8', 'cx16',
  'rdrand', 'rdseed', 'rdtscp', 'rdpid', 'fsgsbase', 'smap', 'invpcid', 'fxsr', 'xsave', 'xsaveopt', 'xsavec', 'xsaves',
  'clflush', 'clflushopt', 'clwb', 'monitor', 'monitorx', 'clzero', 'vmx', 'svm', 'syscall', 'sysenter',
] as const
export type Feature = (typeof FEATURES)[number]

export const CONDITIONS = [
  'o', 'no', 'b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'p', 'np', 'l', 'ge', 'le', 'g',
] as const
