/** Paths of every file of the repository, without what others put there. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')
const OF_OTHERS = ['node_modules', '.git', 'data', 'test-output']

export function repositoryFiles(folder = ''): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (!entry.isDirectory()) return [path]
    return OF_OTHERS.includes(entry.name) ? [] : repositoryFiles(path)
  })
}
