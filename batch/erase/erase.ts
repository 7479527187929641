/**
 * Forgets a viewer. The record comes first: from then on nothing of the viewer is served, loaded or
 * replayed. Then what is stored goes, step by step, each safe to repeat; a try that was cut off is
 * gone on with by the next, which follows the same plan and ends in the same state.
 *
 *   record ─► plan ─► new raw files ─► ledger ─► old raw files gone ─► tables ─► live rows
 *          ─► keys of closed sessions ─► staging files ─► files that nothing names ─► proof
 *
 * A call after the proof is another round: it removes what came since, such as the live row of a
 * session that was still open.
 *
 * Erasures are done one after another: one that has a plan and no proof, of whichever viewer, is gone
 * on with first. Its plan names raw files of which another erasure would make a further generation.
 */
import type { Pseudonymiser } from '../../shared/events/identity.ts'
import type { EventLog } from '../../shared/log/event-log.ts'
import { acquireLease, type Lease } from '../../shared/objects/lease.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { readErasures } from '../../shared/objects/erasures.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import type { Failpoints } from '../../shared/runtime/failpoints.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { RETIRED_KEEP_MS } from '../../shared/warehouse/duckdb-limits.ts'
import type { TableSpec } from '../../shared/warehouse/table-spec.ts'
import { allTables } from '../../shared/warehouse/tables.ts'
import type { Warehouse, WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { finishCompaction, isCompacting } from '../compact/standing-plan.ts'
import { readControl } from '../control.ts'
import { batchErrors } from '../errors.ts'
import {
  DATES_MAX,
  DATES_PER_WRITE,
  ERASE_PLANS_MAX,
  ERASE_ROUNDS_MAX,
  QUERY_TIMEOUT_MS,
} from '../limits.ts'
import { LEASE_NAME } from '../object-names.ts'
import {
  type ErasedFile,
  type ErasureNames,
  type ErasurePlan,
  type ErasureProof,
  type ErasureRecord,
  namesOf,
  readPlan,
  readProof,
  readRecord,
  viewerDigest,
  writeObject,
} from './erasure-objects.ts'
import { removeReplayLeftovers } from '../replay/reload-run.ts'
import { refuseUnfinishedRun } from '../unfinished-run.ts'
import { removeUnnamedRawFiles, removeUnnamedStagingFiles } from '../unnamed-files.ts'
import { endKeys } from './end-keys.ts'
import { stateOf, supersede } from './ledger.ts'
import { ERASED_SESSIONS, makePlan, scratchSessions, SESSION_TABLES } from './plan.ts'
import { rewriteFile } from './rewrite-file.ts'
import { unfinishedErasures } from './unfinished-erasure.ts'

export interface EraseParts {
  readonly objects: ObjectStore
  readonly warehouse: Warehouse
  readonly speed: SpeedStore
  readonly log: Pick<EventLog, 'append' | 'describeTopic' | 'offsets'>
  readonly clock: Clock
  readonly failpoints: Failpoints
  readonly pseudonymiser: Pick<Pseudonymiser, 'all'>
  /** Views of the speed store, each with rows of its own. */
  readonly views: readonly string[]
  /** How long a try that was killed keeps runs of the batch from starting, ms. */
  readonly leaseMs: number
  readonly holder: string
  /** By when the log has forgotten what it holds now, ms from now. */
  readonly logRetentionMs: number
  /** By when the speed store has forgotten a row that is written now, ms from now. */
  readonly rowRetentionMs: number
  /** Ends the erasure before its next step; the same call goes on with it. */
  readonly signal?: AbortSignal
  /** Raw files of the viewer that are written anew, of those that will be. */
  onProgress?(filesDone: number, files: number): void
}

export interface Erased {
  /** Name of the proof's object. */
  readonly proofName: string
  readonly proof: ErasureProof
}

/**
 * Throws `BATCH_ERASE_RUN_UNFINISHED` when a run of the batch has to be gone on with first; the
 * record is written all the same. Throws `LEASE_HELD` while a run is under way.
 */
export async function eraseViewer(parts: EraseParts, viewerId: string): Promise<Erased> {
  const { objects, clock, holder, failpoints } = parts
  const pseudonyms = parts.pseudonymiser.all(viewerId).map(({ pseudonym }) => pseudonym)
  const { names, earlierSessions } = await findRound(objects, viewerDigest(pseudonyms))
  const record = await writeRecord(parts, names, pseudonyms)
  await failpoints.hit('erase.afterRecord')
  const durationMs = parts.leaseMs
  const lease = await acquireLease(objects, { name: LEASE_NAME, holder, durationMs, clock })
  try {
    await finishOthers(parts, lease, names)
    const round = { names, record, earlierSessions }
    const proof = await new Erasure(parts, lease, round).run()
    await failpoints.hit('erase.afterProof')
    return { proofName: names.proof, proof }
  } finally {
    await lease.release()
  }
}

interface Round {
  readonly names: ErasureNames
  readonly record: ErasureRecord
  readonly earlierSessions: readonly string[]
}

/** What an erasure that has its plan removes is in its objects: nobody has to know whose it is. */
async function finishOthers(parts: EraseParts, lease: Lease, own: ErasureNames): Promise<void> {
  for (const names of await unfinishedErasures(parts.objects)) {
    if (names.plan === own.plan) continue
    const record = await readRecord(parts.objects, names.record)
    if (record === undefined)
      throw batchErrors.create('BATCH_OBJECT_MISSING', { expected: names.record })
    await new Erasure(parts, lease, { names, record, earlierSessions: [] }).run()
  }
}

/** The first round without a proof. */
async function findRound(
  objects: ObjectStore,
  digest: string,
): Promise<Pick<Round, 'names' | 'earlierSessions'>> {
  const earlierSessions = new Set<string>()
  for (let round = 1; round <= ERASE_ROUNDS_MAX; round += 1) {
    const names = namesOf(digest, round)
    if ((await objects.stat(names.proof)) === undefined)
      return { names, earlierSessions: [...earlierSessions] }
    for (const id of (await readPlan(objects, names.plan))?.sessions ?? []) earlierSessions.add(id)
  }
  throw batchErrors.create('BATCH_ERASE_TOO_LARGE', {
    expected: `at most ${ERASE_ROUNDS_MAX} erasures of a viewer`,
  })
}

async function writeRecord(
  { objects, clock }: EraseParts,
  { record: name }: ErasureNames,
  pseudonyms: readonly string[],
): Promise<ErasureRecord> {
  const earlier = await readRecord(objects, name)
  if (earlier !== undefined) return earlier
  const record: ErasureRecord = {
    format: 1,
    erasedAtMs: clock.nowMs(),
    pseudonyms: [...pseudonyms],
  }
  await writeObject(objects, name, record)
  return record
}

class Erasure {
  readonly #parts: EraseParts
  readonly #lease: Lease
  readonly #round: Round

  constructor(parts: EraseParts, lease: Lease, round: Round) {
    this.#parts = parts
    this.#lease = lease
    this.#round = round
  }

  async run(): Promise<ErasureProof> {
    const { objects, warehouse, failpoints } = this.#parts
    const done = await readProof(objects, this.#round.names.proof)
    if (done !== undefined) return done
    await warehouse.ensureTables(allTables)
    // What a killed replay left is made from raw files, and in no list.
    await removeReplayLeftovers(objects)
    const plan = await this.#plan()
    await failpoints.hit('erase.afterPlan')
    return this.#inSession((session) => this.#follow(session, plan))
  }

  async #follow(session: WarehouseSession, plan: ErasurePlan): Promise<ErasureProof> {
    const { failpoints } = this.#parts
    const files = await this.#rewriteFiles(plan)
    await supersede(session, { plan, files, jobId: this.#jobId('ledger') })
    await failpoints.hit('erase.afterLedger')
    await this.#delete(
      files.filter((file) => file.name !== file.replacedBy).map(({ name }) => name),
      'erase.afterSomeOldFiles',
    )
    await scratchSessions(session, plan.sessions)
    for (const table of SESSION_TABLES) await this.#removeRows(session, table)
    await this.#removeLiveRows(plan)
    this.#assertMayGoOn()
    await endKeys(this.#parts.log, plan.sessions)
    await this.#delete(plan.stagingFiles, 'erase.afterSomeStagingFiles')
    return this.#prove(plan, files, await this.#removeUnnamed())
  }

  /**
   * The plan of this try or of an earlier one, of files that are in force. A compaction that has not noticed
   * the loss of its lease may join them while a plan is made: so it is looked for once more when the plan is
   * kept, as a compaction looks for erasures once more when its own is, and one of the two gives way.
   */
  async #plan(): Promise<ErasurePlan> {
    const { objects } = this.#parts
    const { plan: name } = this.#round.names
    for (let tries = 1; ; tries += 1) {
      const plan = await this.#inSession((session) => this.#planned(session))
      const isJoining = await isCompacting(objects)
      const state = await this.#inSession((session) => stateOf(session, plan.files))
      if (state === 'followed' || (state === 'inForce' && !isJoining)) return plan
      if (tries === ERASE_PLANS_MAX)
        throw batchErrors.create('BATCH_ERASE_OVERTAKEN', {
          expected: `the files of ${name} to stay as they are`,
          received: 'a compaction that joins them',
        })
      // Nothing was done by it yet: what it names is replaced in one write of the ledger.
      await objects.delete(name)
    }
  }

  async #planned(session: WarehouseSession): Promise<ErasurePlan> {
    const { objects, speed, views, failpoints } = this.#parts
    const { names, record, earlierSessions } = this.#round
    const assertMayGoOn = () => this.#assertMayGoOn()
    await finishCompaction({ objects, failpoints, atOnce: 1, assertMayGoOn }, session)
    const earlier = await readPlan(objects, names.plan)
    if (earlier !== undefined) return earlier
    // A run that took its cut before the record has frames of the viewer on their way.
    const control = await readControl(session)
    await refuseUnfinishedRun(objects, control, 'BATCH_ERASE_RUN_UNFINISHED')
    const parts = { session, objects, speed, views, record, earlierSessions }
    const plan = await makePlan(parts)
    this.#assertMayGoOn()
    await writeObject(objects, names.plan, plan)
    return plan
  }

  async #rewriteFiles(plan: ErasurePlan): Promise<ErasedFile[]> {
    const { objects, failpoints } = this.#parts
    const { names, record } = this.#round
    const erasures = await readErasures(objects, [names.record, names.plan])
    const { pseudonyms } = record
    const files: ErasedFile[] = []
    for (const file of plan.files) {
      this.#assertMayGoOn()
      files.push(await rewriteFile(objects, { file, erasures, pseudonyms }))
      this.#parts.onProgress?.(files.length, plan.files.length)
      await failpoints.hit('erase.afterSomeRawFiles')
    }
    return files
  }

  async #removeRows(session: WarehouseSession, table: TableSpec): Promise<void> {
    this.#assertMayGoOn()
    const scopeSelect = { sql: `SELECT session_id FROM ${ERASED_SESSIONS}` }
    const rows = await session.query(
      {
        sql: `SELECT DISTINCT ${table.partitionColumn} AS day
FROM ${table.name}
WHERE session_id IN (${scopeSelect.sql})`,
      },
      { maxRows: DATES_MAX, timeoutMs: QUERY_TIMEOUT_MS },
    )
    const dates = rows.map((row) => String(row['day'])).toSorted()
    for (let first = 0; first < dates.length; first += DATES_PER_WRITE) {
      this.#assertMayGoOn()
      const ofWrite = dates.slice(first, first + DATES_PER_WRITE)
      await session.replaceRows({
        table: table.name,
        select: { sql: `SELECT * FROM ${table.name} WHERE FALSE` },
        scope: ['session_id'],
        scopeSelect,
        dates: ofWrite,
        // By its first date: a number would be that of a write which a cut-off try has done.
        jobId: this.#jobId(`${table.name}-${ofWrite[0] ?? ''}`),
      })
    }
    await this.#parts.failpoints.hit('erase.afterSomeTables')
  }

  async #removeLiveRows({ sessions }: ErasurePlan): Promise<void> {
    const { speed, views, failpoints } = this.#parts
    for (const view of views)
      for (const id of sessions) {
        this.#assertMayGoOn()
        await speed.deleteSession(view, id)
        await failpoints.hit('erase.afterSomeLiveRows')
      }
  }

  async #delete(
    names: readonly string[],
    failpoint: 'erase.afterSomeOldFiles' | 'erase.afterSomeStagingFiles',
  ): Promise<void> {
    for (const name of names) {
      this.#assertMayGoOn()
      await this.#parts.objects.delete(name)
      await this.#parts.failpoints.hit(failpoint)
    }
  }

  /** Last, so that nothing is left of what came while the erasure was at work. */
  async #removeUnnamed(): Promise<readonly string[]> {
    const { plan: ownPlan } = this.#round.names
    const parts = { ...this.#parts, ownPlan, assertMayGoOn: () => this.#assertMayGoOn() }
    const raw = await removeUnnamedRawFiles(parts, undefined)
    return [...raw, ...(await removeUnnamedStagingFiles(parts))]
  }

  async #prove(
    plan: ErasurePlan,
    files: readonly ErasedFile[],
    unnamedFiles: readonly string[],
  ): Promise<ErasureProof> {
    const { objects, clock, views, logRetentionMs, rowRetentionMs } = this.#parts
    const { names, record } = this.#round
    const doneAtMs = clock.nowMs()
    const logMs = doneAtMs + logRetentionMs
    const proof: ErasureProof = {
      format: 1,
      record: names.record,
      plan: names.plan,
      erasedAtMs: record.erasedAtMs,
      doneAtMs,
      pseudonyms: record.pseudonyms.length,
      sessions: plan.sessions.length,
      rows: plan.rows,
      files: [...files],
      stagingFiles: plan.stagingFiles,
      unnamedFiles: [...unnamedFiles],
      views: [...views],
      forgottenByMs: {
        log: logMs,
        // A checkpoint holds a session no longer than the log holds its last record.
        checkpoints: logMs,
        liveRows: doneAtMs + rowRetentionMs,
        tableFiles: doneAtMs + RETIRED_KEEP_MS,
      },
    }
    await writeObject(objects, names.proof, proof)
    return proof
  }

  #assertMayGoOn(): void {
    this.#lease.assertHeld()
    this.#parts.signal?.throwIfAborted()
  }

  async #inSession<Result>(work: (session: WarehouseSession) => Promise<Result>): Promise<Result> {
    const session = await this.#parts.warehouse.open()
    try {
      return await work(session)
    } finally {
      await session.close()
    }
  }

  /** The same at every try of the round. */
  #jobId(what: string): string {
    return `${this.#round.names.record}-${what}`
  }
}
