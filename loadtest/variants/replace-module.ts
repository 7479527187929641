import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const ROOT = join(import.meta.dirname, '..', '..')

/** Whoever imports `replaced` (a path from the repository's root) from now on gets `replacement`. */
export function replaceModule(replaced: string, replacement: string): void {
  const from = pathToFileURL(join(ROOT, replaced)).href
  const to = pathToFileURL(join(import.meta.dirname, replacement)).href
  registerHooks({
    resolve(specifier, context, next) {
      const found = next(specifier, context)
      // The replacement may stand on what it replaces.
      return found.url === from && context.parentURL !== to ? { ...found, url: to } : found
    },
  })
}
