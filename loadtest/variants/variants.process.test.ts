import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { VARIANTS, type Variant } from './variants.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const TIMEOUT_MS = 60_000

/** What `expression` says in a process of the variant, in which `part` is the module. */
function inVariant(variant: Variant, module: string, expression: string): unknown {
  const source = `import * as part from './${module}'; console.log(JSON.stringify(${expression}))`
  const args = [...VARIANTS[variant], '--input-type=module', '--eval', source]
  const output = execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })
  return JSON.parse(output)
}

test(
  'frames are scanned in the product and parsed in the variant',
  () => {
    const name = 'part.decodeFrame.name'
    expect(inVariant('product', 'shared/events/frame.ts', name)).toBe('decodeFrame')
    expect(inVariant('parsed-frames', 'shared/events/frame.ts', name)).toBe('parseFrame')
  },
  TIMEOUT_MS,
)

test(
  'batches are our own in the product and the library’s in the variant, as many bytes either way',
  () => {
    const name = `part.RecordBatchEncoder.prototype.encode.toString().includes('createRecordsBatch')`
    expect(inVariant('product', 'shared/kafka/record-batch.ts', name)).toBe(false)
    expect(inVariant('library-batches', 'shared/kafka/record-batch.ts', name)).toBe(true)
    const encode =
      `new part.RecordBatchEncoder().encode([{ key: 'a', value: Buffer.from('{}'), headers: {} }])` +
      `.length`
    const own = inVariant('product', 'shared/kafka/record-batch.ts', encode)
    expect(inVariant('library-batches', 'shared/kafka/record-batch.ts', encode)).toBe(own)
  },
  TIMEOUT_MS,
)
