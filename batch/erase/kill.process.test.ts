/**
 * An erasure under SIGKILL: at every step a real process is killed, where a step has several passings
 * twice in a row. The one after that goes on, and ends with the objects, byte by byte, and the rows of
 * one that was never disturbed; `verify` finds every raw file as the ledger says.
 */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ManualClock } from '../../shared/runtime/clock.ts'
import type { FailpointName } from '../../shared/runtime/failpoints.ts'
import { LEASE_NAME } from '../object-names.ts'
import { sha256Of } from '../run-objects.ts'
import { CommandsOn } from '../testing/commands-on.ts'
import {
  closeEraseMachine,
  ERASE_VIEW,
  ERASED,
  everything,
  NEW,
  OLD,
  openEraseMachine,
  prepareErasure,
} from '../testing/erase-machine.ts'
import { runToItsEnd } from '../testing/kill-at.ts'

const SCRIPT = join(import.meta.dirname, '..', 'testing', 'erase-to-the-kill.ts')
/** A killed process keeps its lease for a minute of its clock: the next one starts later than that. */
const BETWEEN_TRIES_MS = 120_000
const TIMEOUT_MS = 120_000

/** Where it is killed, and at which passing, at each try. */
const KILLS: readonly (readonly [FailpointName, readonly number[]])[] = [
  ['erase.afterRecord', [1]],
  ['erase.afterPlan', [1]],
  ['erase.afterSomeRawFiles', [2, 1]],
  ['erase.afterLedger', [1]],
  ['erase.afterSomeOldFiles', [2, 1]],
  ['erase.afterSomeTables', [5]],
  ['erase.afterSomeLiveRows', [1]],
  ['erase.afterSomeStagingFiles', [2]],
  ['erase.afterProof', [1]],
  // In the middle of a write of the warehouse: files are there and not named yet, or just named.
  ['warehouse.afterFiles', [3]],
  ['warehouse.afterManifest', [2]],
]

let root: string
let prepared: string
let nowMs: number
let gold: Awaited<ReturnType<typeof endOf>>
let goldText: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'backhaul-erase-kill-'))
  prepared = join(root, 'prepared')
  nowMs = await prepareErasure(prepared)
  await writeFile(join(prepared, 'format.json'), '{"format":1}\n')
  const undisturbed = join(root, 'undisturbed')
  await cp(prepared, undisturbed, { recursive: true })
  await erase(undisturbed, 0)
  gold = await endOf(undisturbed)
  const opened = await openEraseMachine(undisturbed)
  goldText = await everything(opened)
  await closeEraseMachine(opened)
}, TIMEOUT_MS)

afterAll(() => rm(root, { recursive: true, force: true }))

/** The `n`-th try on the folder, in a process of its own. */
function erase(folder: string, n: number, kill: readonly string[] = []) {
  return runToItsEnd([SCRIPT, folder, String(nowMs + n * BETWEEN_TRIES_MS), ...kill])
}

/** All rows, live ones included, and the objects by their hashes; of the proof what no clock says. */
async function endOf(folder: string) {
  const opened = await openEraseMachine(folder, nowMs + 100 * BETWEEN_TRIES_MS)
  const { machine, live } = opened
  const objects: Record<string, string> = {}
  for (const name of await machine.names('')) {
    if (name.startsWith('warehouse/') || name === LEASE_NAME) continue
    const bytes = (await machine.ports.objects.read(name))?.bytes ?? Buffer.of()
    objects[name] = name.endsWith('-proof.json') ? withoutTimes(bytes) : sha256Of(bytes)
  }
  const sessions = await live.speed.readSessions(ERASE_VIEW, { limit: 99 })
  const end = { objects, sessions, tables: await machine.tables() }
  await closeEraseMachine(opened)
  return end
}

function withoutTimes(proof: Uint8Array): string {
  const { doneAtMs, forgottenByMs, ...rest } = JSON.parse(Buffer.from(proof).toString()) as Record<
    string,
    unknown
  >
  expect(doneAtMs).toBeGreaterThan(nowMs - 1)
  expect(forgottenByMs).toBeDefined()
  return JSON.stringify(rest)
}

test('undisturbed, it leaves nothing of the viewer', () => {
  expect(goldText).toContain('kept')
  for (const gone of [NEW, OLD, ...ERASED]) expect(goldText.includes(gone), gone).toBe(false)
})

test.each(KILLS)('killed at %s', { timeout: TIMEOUT_MS }, async (name, passings) => {
  const folder = join(root, `killed-at-${name}`)
  await cp(prepared, folder, { recursive: true })
  for (const [n, passing] of passings.entries())
    expect(await erase(folder, n, [name, `${passing}`])).toEqual({ killed: true, outcome: '' })
  // Once there is a proof, the same command is another round.
  const isOver = name === 'erase.afterProof'
  const last = isOver ? undefined : await erase(folder, passings.length)
  expect(last?.killed ?? false).toBe(false)
  const verified = await new CommandsOn(folder, new ManualClock(nowMs)).json('verify')
  expect(verified).toMatchObject({ code: 0, found: { faults: [] } })
  expect(await endOf(folder)).toEqual(gold)
  await rm(folder, { recursive: true, force: true })
})
