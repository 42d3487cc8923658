/** The engines that a VM can run on, under the names that the command line gives them. */
import { createTranslator } from '../../jit/translator.ts'
import type { VmmOptions } from '../vmm/index.ts'
import { compileService } from './compile-service.ts'

/** `both`: what is hot is translated, the rest interpreted. `translator`: everything is translated at first sight. */
export const ENGINES = ['interpreter', 'translator', 'both'] as const
export type Engine = (typeof ENGINES)[number]

/** What openVmm's `translator` is to be for an engine; VMs may share it. */
export async function translatorOf(engine: Engine): Promise<VmmOptions['translator']> {
  if (engine === 'interpreter') return undefined
  if (engine === 'both') return createTranslator({ service: compileService })
  // At first sight means at once: the compiler is loaded here.
  const { synchronousService } = await import('../../jit/together.ts')
  return createTranslator({ service: synchronousService, eager: true })
}
