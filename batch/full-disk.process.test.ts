/**
 * The batch on a disk that is really full: a small file system under its objects, or under its
 * temporary folder. It ends with the code of a full disk and deletes nothing; once there is room
 * again, the next run ends with the rows and raw files of one that was never disturbed.
 */
import { execFileSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ManualClock } from '../shared/runtime/clock.ts'
import { BatchMachine, PARTITIONS } from './testing/batch-machine.ts'
import { fillLog } from './testing/scenario.ts'

const RUN_ONCE = join(import.meta.dirname, 'testing', 'run-once.ts')
const TIMEOUT_MS = 240_000
/** A killed or failed process may keep its lease for a minute of its clock. */
const BETWEEN_RUNS_MS = 120_000

/**
 * In a mount namespace of its own, where it needs no rights: a file system of $ROOM KiB beyond what
 * is in the folder, a run on it, a copy of what that left, room, another run, and a copy of the end.
 */
const SCRIPT = `
  set -e
  cd "$ROOT"
  used=$(du -sk "$FOLDER" | cut -f1)
  mv "$FOLDER" before
  mkdir "$FOLDER"
  mount -t tmpfs -o size=$((used + ROOM))k tmpfs "$FOLDER"
  cp -a before/. "$FOLDER"
  "$NODE" "$RUN" "$ROOT" "$NOW"
  cp -a "$FOLDER" failed
  mount -o remount,size=256m "$FOLDER"
  "$NODE" "$RUN" "$ROOT" "$LATER"
  cp -a "$FOLDER" after
`

let root: string
let prepared: string
let nowMs: number
let gold: Awaited<ReturnType<typeof contentOf>>

async function contentOf(folder: string) {
  const machine = await BatchMachine.open({ folder, clock: new ManualClock(nowMs) })
  try {
    return { tables: await machine.tables(), raw: await machine.rawFiles() }
  } finally {
    await machine.closeStores()
  }
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'backhaul-full-disk-'))
  prepared = join(root, 'prepared')
  const clock = new ManualClock()
  const machine = await BatchMachine.open({ folder: prepared, clock })
  await fillLog({ log: machine.ports.log, clock, partitions: PARTITIONS, seed: 5, turns: 14 })
  await machine.closeStores()
  nowMs = clock.nowMs()
  const undisturbed = join(root, 'undisturbed')
  await cp(prepared, undisturbed, { recursive: true })
  execFileSync(process.execPath, [RUN_ONCE, undisturbed, `${nowMs}`])
  gold = await contentOf(undisturbed)
}, TIMEOUT_MS)
afterAll(() => rm(root, { recursive: true, force: true }))

test.each([
  { folder: 'objects', roomKiB: 16, code: /^(OBJECT|WAREHOUSE)_FULL$/ },
  { folder: 'objects', roomKiB: 160, code: /^(OBJECT|WAREHOUSE)_FULL$/ },
  { folder: 'temporary', roomKiB: 8, code: /^(BATCH_DISK|WAREHOUSE)_FULL$/ },
])(
  'a full disk under $folder, with $roomKiB KiB left, is a coded error and the next run completes',
  async ({ folder, roomKiB, code }) => {
    const machine = join(root, `${folder}-${roomKiB}`)
    await cp(prepared, machine, { recursive: true })
    await mkdir(join(machine, folder), { recursive: true })
    const outcomes = runInSmallFolder(machine, folder, roomKiB)
    expect(outcomes[0]).toMatch(code)
    expect(outcomes[1]).toBe('completed')
    const before = await filesOf(join(machine, 'before'))
    expect(await filesOf(join(machine, 'failed'))).toEqual(expect.arrayContaining(before))
    await rm(join(machine, folder), { recursive: true })
    await cp(join(machine, 'after'), join(machine, folder), { recursive: true })
    expect(await contentOf(machine)).toEqual(gold)
  },
  TIMEOUT_MS,
)

function runInSmallFolder(machine: string, folder: string, roomKiB: number): string[] {
  const output = execFileSync('unshare', ['-rm', 'sh', '-c', SCRIPT], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      ROOT: machine,
      FOLDER: folder,
      ROOM: `${roomKiB}`,
      NODE: process.execPath,
      RUN: RUN_ONCE,
      NOW: `${nowMs}`,
      LATER: `${nowMs + BETWEEN_RUNS_MS}`,
    },
  })
  return output.trim().split('\n')
}

async function filesOf(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).toSorted()
}
