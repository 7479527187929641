/**
 * The batch on a disk that is really full: a small file system under its objects, or under its
 * temporary folder. Where none may be mounted, a limit on the size of files stands for it: the
 * system refuses the write. It ends with the code of a full disk and deletes nothing; once there is
 * room again, the next run ends with the rows and raw files of one that was never disturbed.
 */
import { execFileSync, spawnSync } from 'node:child_process'
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

/** Where a file system may be mounted: in a mount namespace, which needs no rights, or as root. */
const MAY_MOUNT = [
  ['unshare', '-rm', 'sh', '-c'],
  ['sh', '-c'],
].find((shell) => mayMount(shell))
/** A file system of $ROOM KiB beyond what is in the folder. */
const SMALL_DISK = {
  shell: MAY_MOUNT ?? [],
  begin: `
    used=$(du -sk "$FOLDER" | cut -f1)
    mv "$FOLDER" before
    mkdir "$FOLDER"
    mount -t tmpfs -o size=$((used + ROOM))k tmpfs "$FOLDER"
    trap 'umount "$ROOT/$FOLDER"' EXIT
    cp -a before/. "$FOLDER"`,
  room: 'mount -o remount,size=256m "$FOLDER"',
}
/** No file of more than $ROOM KiB. */
const SMALL_FILES = { shell: ['sh', '-c'], begin: 'cp -a "$FOLDER" before', room: '' }
type Small = typeof SMALL_DISK

/** A run, a copy of what that left, room, another run, and a copy of the end. */
const scriptOf = ({ begin, room }: Small) => `
  set -e
  cd "$ROOT"
  ${begin}
  "$NODE" "$RUN" "$ROOT" "$NOW" $FILE_MAX_BYTES
  cp -a "$FOLDER" failed
  ${room}
  "$NODE" "$RUN" "$ROOT" "$LATER"
  cp -a "$FOLDER" after
`

const CASES = [
  { folder: 'objects', roomKiB: 16, code: /^(OBJECT|WAREHOUSE)_FULL$/, small: SMALL_DISK },
  { folder: 'objects', roomKiB: 160, code: /^(OBJECT|WAREHOUSE)_FULL$/, small: SMALL_DISK },
  { folder: 'temporary', roomKiB: 8, code: /^(BATCH_DISK|WAREHOUSE)_FULL$/, small: SMALL_DISK },
  { folder: 'objects', roomKiB: 2, code: /^OBJECT_FULL$/, small: SMALL_FILES },
  { folder: 'objects', roomKiB: 40, code: /^(OBJECT|WAREHOUSE)_FULL$/, small: SMALL_FILES },
].filter(({ small }) => small !== SMALL_DISK || MAY_MOUNT !== undefined)

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

test.each(CASES)(
  'a full disk under $folder, with $roomKiB KiB left, is a coded error and the next run completes',
  async ({ folder, roomKiB, code, small }) => {
    const machine = join(root, `${folder}-${roomKiB}`)
    await cp(prepared, machine, { recursive: true })
    await mkdir(join(machine, folder), { recursive: true })
    const outcomes = runInSmallFolder(machine, { folder, roomKiB, small })
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

function mayMount([command = '', ...args]: readonly string[]): boolean {
  const script = `
    folder=$(mktemp -d)
    trap 'rmdir "$folder"' EXIT
    mount -t tmpfs tmpfs "$folder" && umount "$folder"`
  const { status } = spawnSync(command, [...args, script])
  return status === 0
}

interface SmallFolder {
  readonly folder: string
  readonly roomKiB: number
  readonly small: Small
}

function runInSmallFolder(machine: string, { folder, roomKiB, small }: SmallFolder): string[] {
  const [command = '', ...args] = small.shell
  const output = execFileSync(command, [...args, scriptOf(small)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      ROOT: machine,
      FOLDER: folder,
      ROOM: `${roomKiB}`,
      FILE_MAX_BYTES: small === SMALL_FILES ? `${roomKiB * 1_024}` : '',
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
