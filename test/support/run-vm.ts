/** Makes a VM and runs it up to its first exit: a child process of cpu-host.test.ts. */
import { openVmm } from '../../src/vmm/index.ts'
import { Guest } from './guest64.ts'

// MOV EAX, 7; OUT 61h, AL
const guest = new Guest(openVmm(), [0xb8, 7, 0, 0, 0, 0xe6, 0x61])
const reason = guest.run()
if (process.argv[2] === 'binaryen') await import('binaryen')
console.log(`exit ${reason}, data ${guest.exit.vei.vei_data}`)
