/** Finds the mapping that a feed names: a built-in one, or a module by its path. */
import { isAbsolute } from 'node:path'
import { pathToFileURL } from 'node:url'
import { relayErrors } from '../errors.ts'
import type { FeedMapping } from '../mapping.ts'
import { cmcdLines } from './cmcd-lines.ts'
import { jsonArray } from './json-array.ts'
import { playback } from './playback.ts'

const BUILT_IN: ReadonlyMap<string, FeedMapping> = new Map([
  ['playback.v1', playback],
  ['json-array', jsonArray],
  ['cmcd', cmcdLines],
])

/** Throws `RELAY_MAPPING_INVALID`. */
export async function loadMapping(name: string): Promise<FeedMapping> {
  const builtIn = BUILT_IN.get(name)
  if (builtIn !== undefined) return builtIn
  if (!isAbsolute(name))
    throw relayErrors.create('RELAY_MAPPING_INVALID', {
      expected: `a path, or one of ${[...BUILT_IN.keys()].join(', ')}`,
      received: name,
    })
  let module: { readonly default?: unknown }
  try {
    module = (await import(pathToFileURL(name).href)) as typeof module
  } catch (cause) {
    throw relayErrors.create('RELAY_MAPPING_INVALID', { received: `${name}: ${cause}`, cause })
  }
  if (isMapping(module.default)) return module.default
  throw relayErrors.create('RELAY_MAPPING_INVALID', {
    expected: 'a default export with a function `map`',
    received: `${name} without one`,
  })
}

function isMapping(value: unknown): value is FeedMapping {
  return typeof value === 'object' && value !== null && 'map' in value && isFunction(value.map)
}

function isFunction(value: unknown): value is FeedMapping['map'] {
  return typeof value === 'function'
}
