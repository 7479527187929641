/**
 * `npm run image -- --out DIR`: the file tree of the container image, assembled without a container
 * engine. The Dockerfile runs this, so what tests start from such a tree is what the image holds.
 */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { assembleImage } from './image/tree.ts'

const ROOT = join(import.meta.dirname, '..')
const USAGE = 'usage: npm run image -- --out DIR'

function main(): void {
  const { out } = parseArgs({ options: { out: { type: 'string' } } }).values
  if (out === undefined) throw new Error(USAGE)
  const folder = resolve(out)
  const parts = assembleImage(ROOT, folder)
  const sum = (field: 'files' | 'bytes') => parts.reduce((total, part) => total + part[field], 0)
  const total = { name: 'image', files: sum('files'), bytes: sum('bytes') }
  for (const { name, files, bytes } of [...parts, total])
    console.log(
      `${name.padEnd(8)} ${String(files).padStart(6)} files ${mebibytes(bytes).padStart(8)}`,
    )
  console.log(`in ${folder}`)
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}

try {
  main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
