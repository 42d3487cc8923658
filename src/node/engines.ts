/** The engines that a VM can run on, under the names that the command line gives them. Loading this loads the translator. */
import type { TranslationObserver } from '../../jit/observer.ts'
import { createTranslator } from '../../jit/translator.ts'
import type { VmmOptions } from '../vmm/index.ts'
import { compileService } from './compile-service.ts'

export type { DropEvent, RegionEvent, TranslationObserver } from '../../jit/observer.ts'

/** `both`: what is hot is translated, the rest interpreted. `translator`: everything is translated at first sight. */
export const ENGINES = ['interpreter', 'translator', 'both'] as const
export type Engine = (typeof ENGINES)[number]

/** What openVmm's `translator` is to be for an engine; VMs may share it. The observer hears of what it translates. */
export async function translatorOf(engine: Engine, observer?: TranslationObserver): Promise<VmmOptions['translator']> {
  if (engine === 'interpreter') return undefined
  const eager = engine === 'translator'
  // At first sight means at once, and a dump wants one region a module: the compiler is loaded here then.
  const here = eager || observer?.marks === true
  const service = here ? (await import('../../jit/together.ts')).synchronousService : compileService
  return createTranslator({ service, eager, ...(observer && { observer }) })
}
