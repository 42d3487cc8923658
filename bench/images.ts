/** The builds of the guest's kernel (guests/README.md). */
import { BUILTIN_GUEST, packageFile } from '../src/node/files.ts'

export const IMAGES = {
  plain: BUILTIN_GUEST,
  /** The innermost loops lie across page boundaries. */
  shifted: packageFile('guests/images/guest64-shifted.elf'),
  /** 32-bit code, for v86. */
  code32: packageFile('guests/images/guest32.elf'),
} as const
