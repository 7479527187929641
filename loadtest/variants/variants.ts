/**
 * Gateways with one part replaced, to measure what that part is worth in the whole. The replacement
 * is a module that Node loads in the part's place; the product has no switch for it.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export type Variant = 'product' | 'parsed-frames' | 'library-batches'

/** What Node is started with for each. */
export const VARIANTS: Readonly<Record<Variant, readonly string[]>> = {
  product: [],
  /** Every frame is judged by `JSON.parse` and zod, none by the compiled scanner. */
  'parsed-frames': replacing('parsed-frames'),
  /** Record batches are encoded and compressed by @platformatic/kafka. */
  'library-batches': replacing('library-batches'),
}

function replacing(name: string): readonly string[] {
  return ['--import', pathToFileURL(join(import.meta.dirname, `use-${name}.ts`)).href]
}
