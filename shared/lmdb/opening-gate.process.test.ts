/** Openings of an LMDB folder beside writes to it, by real processes. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLmdbRoot } from './root.ts'
import { GATE_MAP_BYTES, WRITTEN } from './testing/gate-process.ts'
import { transact } from './transaction.ts'

const PROGRAM = join(import.meta.dirname, 'testing', 'gate-process.ts')
/** Commits in memory follow one another so fast that openings meet them. */
const IN_MEMORY = '/dev/shm'
const OPENINGS = 200
const KEY = Buffer.from('count')

let folder: string
let children: ChildProcess[]

beforeEach(async () => {
  folder = await mkdtemp(join(existsSync(IN_MEMORY) ? IN_MEMORY : tmpdir(), 'backhaul-gate-'))
  children = []
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  await Promise.all(children.map(hasEnded))
  await rm(folder, { recursive: true })
})

describe('an LMDB folder that several processes open', { timeout: 120_000 }, () => {
  it('loses no commit to their openings', async () => {
    const root = openLmdbRoot(folder, GATE_MAP_BYTES)
    const table = root.table('counts')
    const openings = ['reader', 'writer'].map((how) => linesOf(run('open', folder, how)))
    let count = 0
    while (openings.some(({ lines }) => lines < OPENINGS)) {
      const seen = await root.write(() =>
        transact(root.database, () => {
          const value = table.get(KEY)
          table.putSync(KEY, Buffer.from(`${count + 1}`))
          return Number(value?.toString() ?? 0)
        }),
      )
      expect(seen).toBe(count)
      count += 1
    }
    await root.close()
  })

  it('is not opened while another process writes to it', async () => {
    const writer = run('write', folder)
    await untilLine(writer)
    expect(existsSync(join(folder, WRITTEN))).toBe(false)
    const root = openLmdbRoot(folder, GATE_MAP_BYTES)
    expect(existsSync(join(folder, WRITTEN))).toBe(true)
    await root.close()
  })

  it('is written and opened again after a process was killed while it opened it', async () => {
    const root = openLmdbRoot(folder, GATE_MAP_BYTES)
    await hasEnded(run('die', folder))
    expect(existsSync(join(folder, 'gate', 'opening'))).toBe(true)
    const table = root.table('counts')
    await root.write(() => transact(root.database, () => table.putSync(KEY, Buffer.of(1))))
    expect(existsSync(join(folder, 'gate', 'opening'))).toBe(false)
    await hasEnded(run('die', folder))
    await root.close()
    const again = openLmdbRoot(folder, GATE_MAP_BYTES)
    expect(again.table('counts').get(KEY)).toEqual(Buffer.of(1))
    await again.close()
  })
})

function run(...args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  return child
}

function linesOf(child: ChildProcess): { lines: number } {
  const counted = { lines: 0 }
  if (child.stdout !== null)
    createInterface(child.stdout).on('line', () => {
      counted.lines += 1
    })
  return counted
}

async function untilLine(child: ChildProcess): Promise<void> {
  if (child.stdout !== null) await once(createInterface(child.stdout), 'line')
}

async function hasEnded(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}
