/**
 * The layers of the house (docs/architecture.md): imports point downwards only, and there are no cycles.
 * A rule names a room and where its imports may not go.
 */
const room = (name, from, to, comment) => ({ name, comment, severity: 'error', from: { path: from }, to: { path: to } })

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: "two files may name each other's types",
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    room('cpu-is-the-bottom', '^src/cpu/', '^(src/(vmm|vmd|vmctl|node|browser)|jit)/', 'the translator is injected'),
    room('vmm-knows-no-machine', '^src/vmm/', '^(src/(vmd|vmctl|node|browser)|jit)/', 'no ioctl knows of a device'),
    room(
      'vmd-is-a-user-of-vmm',
      '^src/vmd/',
      '^(src/(cpu|vmctl|node|browser)|jit)/',
      'devices reach the CPU by ioctls only',
    ),
    room('jit-sees-the-cpu-only', '^jit/', '^src/(vmm|vmd|vmctl|node|browser)/'),
    room('vmctl-is-a-user-of-vmd', '^src/vmctl/', '^(src/cpu|jit)/'),
    room('host-shells-are-thin', '^src/(node|browser)/(?!build)', '^src/(cpu|vmctl)/'),
    room('decoder-stands-alone', '^src/cpu/decoder/', '^src/cpu/(?!decoder)'),
    room('table-knows-no-engine', '^src/cpu/isa/', '^src/cpu/(interpreter|runtime|cpu|modules)'),
    room('runtime-is-its-own-language', '^src/cpu/runtime/', '^src/cpu/(?!runtime|layout|interpreter/record)'),
    {
      name: 'host-apis-in-host-shells',
      comment: 'everything else runs in a browser, too',
      severity: 'error',
      from: { path: '^(src|jit)/', pathNot: '^src/(node|vmctl)/' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'binaryen-in-one-room',
      comment: 'starting a VM must not load Binaryen (300 ms, 77 MB)',
      severity: 'error',
      from: { pathNot: '^src/cpu/(wasm/|interpreter/generate)' },
      to: { path: 'node_modules/binaryen' },
    },
    {
      name: 'emitter-at-build-time',
      comment: 'what runs may use the emitter for types only',
      severity: 'error',
      from: { pathNot: '^(src/cpu/(wasm|isa/(vector-)?builder|interpreter/(builder|generate))|jit)' },
      to: { path: '^src/cpu/(wasm/emitter|isa/(vector-)?builder)', dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'default'],
    },
  },
}
