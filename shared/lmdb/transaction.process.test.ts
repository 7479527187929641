import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLmdbRoot } from './root.ts'
import { transact } from './transaction.ts'

const PROGRAM = join(import.meta.dirname, 'testing', 'leave-in-transaction.ts')

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backhaul-leaving-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function leave(how: 'throw' | 'exit') {
  const child = spawn(process.execPath, [PROGRAM, folder, how], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = new Promise<NodeJS.Signals | null>((resolve) =>
    child.once('close', (_, signal) => resolve(signal)),
  )
  const [signal, errors] = await Promise.all([ended, text(child.stderr)])
  return { signal, errors }
}

test.each([
  ['throw', 'nobody catches this'],
  ['exit', ''],
] as const)(
  'a process that ends by %s in the middle of a transaction is gone, and others write',
  async (how, told) => {
    const { signal, errors } = await leave(how)
    expect(signal).toBe('SIGKILL')
    expect(errors).toContain(told)
    const { database } = openLmdbRoot(folder, 2 ** 20)
    expect(await transact(database, () => 'written')).toBe('written')
    await database.close()
  },
)
