import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLmdbRoot } from '../lmdb/root.ts'
import { metricIn } from '../lmdb/testing/metric-in.ts'
import { transact } from '../lmdb/transaction.ts'
import { ManualClock } from '../runtime/clock.ts'
import { createTelemetryBase } from '../runtime/telemetry.ts'
import { EXPIRY_PERIOD_MS, EXPIRY_SLICE_ROWS, WRITE_QUEUE_MAX_TASKS } from './lmdb-limits.ts'
import { encodeSession } from './lmdb-row-codec.ts'
import { sessionKey } from './lmdb-row-keys.ts'
import { openLmdbSpeedStore } from './lmdb-speed-store.ts'
import {
  describeSpeedStore,
  minuteRow,
  partitionRow,
  positionRow,
  sessionRow,
} from './speed-store.contract.ts'
import type { SessionRow } from './rows.ts'
import type { MinuteQuery, SpeedStore } from './speed-store.ts'

const MAP_BYTES = 128 * 1024 * 1024

describeSpeedStore('the LMDB speed store', async () => {
  const folder = await temporaryFolder()
  const clock = new ManualClock()
  return {
    open: () => openLmdbSpeedStore({ folder, mapBytes: MAP_BYTES, clock }),
    nowMs: () => clock.nowMs(),
    pass: (durationMs) => clock.advance(durationMs),
    dispose: () => rm(folder, { recursive: true }),
  }
})

describe('the LMDB speed store', () => {
  let folder: string
  let clock: ManualClock
  let store: SpeedStore
  const all: MinuteQuery = { view: 'view-1', cut: 'cdn', fromMs: 0, toMs: 2 ** 47, limit: 100_000 }

  const open = async (mapBytes = MAP_BYTES): Promise<void> => {
    store = await openLmdbSpeedStore({ folder, mapBytes, clock })
  }
  beforeEach(async () => {
    folder = await temporaryFolder()
    clock = new ManualClock()
    await open()
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })

  const inMs = (durationMs: number) => ({ expiresAtMs: clock.nowMs() + durationMs })

  describe('expired rows', () => {
    it('are deleted from every table, and counted as rows', async () => {
      await store.putMinutes([minuteRow(inMs(1_000)), minuteRow({ key: '["b"]' })])
      await store.putSessions([sessionRow(inMs(1_000))], [positionRow(inMs(1_000))])
      await store.putPartitions([partitionRow(inMs(1_000))])
      await clock.advance(1_000)
      expect(await store.removeExpired()).toBe(0)
      await clock.advance(1)
      expect(await store.removeExpired()).toBe(4)
      expect(await store.removeExpired()).toBe(0)
      expect(await store.readMinutes(all)).toHaveLength(1)
    })

    it('give way to rows that are written again, whatever their stamp', async () => {
      await store.putSessions([sessionRow({ ...inMs(1_000), stampUs: 9 })], [])
      await clock.advance(1_001)
      await store.removeExpired()
      const later = sessionRow({ ...inMs(1_000), stampUs: 5 })
      await store.putSessions([later], [])
      expect(await store.readSession('view-1', 'session-1')).toEqual([later])
      expect(await store.readRecentSessions('view-1', 10)).toEqual([later])
    })

    it('live on when they were given more time', async () => {
      await store.putMinutes([minuteRow({ ...inMs(1_000), stampUs: 1 })])
      await store.putMinutes([minuteRow({ ...inMs(5_000), stampUs: 2 })])
      await clock.advance(1_001)
      expect(await store.removeExpired()).toBe(0)
      expect(await store.readMinutes(all)).toHaveLength(1)
      await clock.advance(4_000)
      expect(await store.removeExpired()).toBe(1)
    })

    it('live on when they are written again while they are being deleted', async () => {
      await store.putMinutes([minuteRow({ ...inMs(1_000), stampUs: 1 })])
      await clock.advance(1_001)
      const writing = store.putMinutes([minuteRow({ ...inMs(5_000), stampUs: 2 })])
      const removing = store.removeExpired()
      await Promise.all([writing, removing])
      expect(await store.readMinutes(all)).toMatchObject([{ stampUs: 2 }])
      expect(await store.removeExpired()).toBe(0)
    })

    it('are deleted in slices, all of them, and by two calls at once only once', async () => {
      const many = 2 * EXPIRY_SLICE_ROWS + 3
      const rows = Array.from({ length: many }, (_, partition) =>
        minuteRow({ partition, ...inMs(partition) }),
      )
      await store.putMinutes(rows)
      await clock.advance(many + 1)
      expect(await Promise.all([store.removeExpired(), store.removeExpired()])).toEqual([many, 0])
    })

    it('are deleted by the store itself', async () => {
      await store.putSessions([sessionRow(inMs(1_000))], [])
      await clock.advance(EXPIRY_PERIOD_MS)
      // Written with a lower stamp, the row is refused for as long as the expired one stands.
      await expect
        .poll(async () => {
          await store.putSessions([sessionRow({ ...inMs(1_000), stampUs: 1 })], [])
          return store.readSession('view-1', 'session-1')
        })
        .toHaveLength(1)
    })
  })

  it('refuses rows beyond its bytes, keeps what it has, and goes on after rows expired', async () => {
    await store.close()
    await open(1024 * 1024)
    const write = (generation: number) =>
      store.putMinutes(
        Array.from({ length: 100 }, (_, partition) =>
          minuteRow({ partition, generation, ...inMs(1_000) }),
        ),
      )
    let written = 0
    const fill = async (): Promise<void> => {
      for (;;) {
        await write(written)
        written += 1
      }
    }
    await expect(fill()).rejects.toMatchObject({ code: 'SPEED_FULL', spec: { retryable: true } })
    expect(written).toBeGreaterThan(3)
    expect(await store.readMinutes(all)).toHaveLength(written * 100)
    await clock.advance(1_001)
    expect(await store.removeExpired()).toBe(written * 100)
    await write(written)
    expect(await store.readMinutes(all)).toHaveLength(100)
  })

  it('shows in its metrics the bytes rise to the budget, and the rows that expired', async () => {
    const budgetBytes = 1024 * 1024
    const telemetry = createTelemetryBase('silent')
    const metric = (name: string, labels = '') => metricIn(telemetry.registry, name, labels)
    await store.close()
    store = await openLmdbSpeedStore({ folder, mapBytes: budgetBytes, clock, telemetry })
    expect(await metric('speed_budget_bytes')).toBe(budgetBytes)
    const write = (generation: number) =>
      store
        .putMinutes(
          Array.from({ length: 100 }, (_, partition) =>
            minuteRow({ partition, generation, ...inMs(1_000) }),
          ),
        )
        .then(
          () => true,
          () => false,
        )
    const used = [await metric('speed_used_bytes')]
    while (await write(used.length)) used.push(await metric('speed_used_bytes'))
    expect(used).toEqual(used.toSorted((a, b) => a - b))
    expect(used.at(0)).toBeLessThan(budgetBytes / 10)
    expect(used.at(-1)).toBeGreaterThan(budgetBytes / 2)
    expect(await metric('speed_refused_writes_total', 'code="SPEED_FULL"')).toBe(1)
    expect(await metric('speed_commits_total')).toBe(used.length - 1)
    await clock.advance(1_001)
    const expired = await store.removeExpired()
    expect(expired).toBe((used.length - 1) * 100)
    expect(await metric('speed_expired_rows_total')).toBe(expired)
    expect(await metric('speed_used_bytes')).toBeLessThan(used.at(-1) ?? 0)
  })

  it('shows its queue at the bound in its metrics', async () => {
    const telemetry = createTelemetryBase('silent')
    const metric = (name: string, labels = '') => metricIn(telemetry.registry, name, labels)
    await store.close()
    store = await openLmdbSpeedStore({ folder, mapBytes: MAP_BYTES, clock, telemetry })
    const writes = Array.from({ length: WRITE_QUEUE_MAX_TASKS + 1 }, () =>
      store.putPartitions([partitionRow()]),
    )
    const queued = metric('speed_queued_writes')
    const bytes = metric('speed_queued_bytes')
    await Promise.allSettled(writes)
    expect(await queued).toBe(WRITE_QUEUE_MAX_TASKS)
    expect(await bytes).toBeGreaterThan(WRITE_QUEUE_MAX_TASKS)
    expect(await metric('speed_refused_writes_total', 'code="SPEED_UNAVAILABLE"')).toBe(1)
    expect(await metric('speed_queued_writes')).toBe(0)
  })

  it('refuses writes beyond its queue as unavailable, and none of those it took', async () => {
    const writes = Array.from({ length: WRITE_QUEUE_MAX_TASKS + 1 }, () =>
      store.putPartitions([partitionRow()]),
    )
    const results = await Promise.allSettled(writes)
    const refused = results.filter((result) => result.status === 'rejected')
    expect(refused).toHaveLength(1)
    expect(refused[0]?.reason).toMatchObject({ code: 'SPEED_UNAVAILABLE' })
  })

  it('holds every row that was acknowledged before the process was killed', async () => {
    const childFolder = await mkdtemp(join(folder, 'child-'))
    const module = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
    const script = `
      import { openLmdbSpeedStore } from ${module('./lmdb-speed-store.ts')}
      import { systemClock } from ${module('../runtime/clock.ts')}
      const store = await openLmdbSpeedStore({ folder: ${JSON.stringify(childFolder)}, mapBytes: ${MAP_BYTES}, clock: systemClock })
      const row = ${JSON.stringify(partitionRow())}
      for (let stampUs = 1; ; stampUs += 1) {
        await store.putPartitions([0, 1].map((partition) => ({ ...row, partition, stampUs })))
        process.stdout.write(stampUs + '\\n')
      }`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script])
    let acknowledged = 0
    for await (const line of createInterface(child.stdout)) {
      acknowledged = Number(line)
      if (acknowledged === 100) child.kill('SIGKILL')
    }
    expect(acknowledged).toBeGreaterThanOrEqual(100)
    const survivor = await openLmdbSpeedStore({ folder: childFolder, mapBytes: MAP_BYTES, clock })
    const stamps = (await survivor.readPartitions('view-1')).map(({ stampUs }) => stampUs)
    await survivor.close()
    expect(stamps).toHaveLength(2)
    expect(Math.min(...stamps)).toBeGreaterThanOrEqual(acknowledged)
  })

  describe('a build from before there were entries of viewers', () => {
    const everything = { view: 'view-1', fromMs: 0, toMs: 2 ** 47, limit: 9 }
    const of = (viewerPseudonym: string, stampUs: number) =>
      sessionRow({ stampUs, contextJson: JSON.stringify({ viewerPseudonym }) })
    const sessionsOf = (viewerPseudonym: string) =>
      store.readViewerSessions({ ...everything, viewerPseudonym })

    /** As that build wrote and deleted rows: without a look at their entries. */
    const byThatBuild = async (row: SessionRow, isThere: boolean): Promise<void> => {
      await store.close()
      const root = openLmdbRoot(folder, MAP_BYTES)
      const sessions = root.table('sessions')
      await transact(root.database, () => {
        if (isThere) sessions.putSync(sessionKey(row), encodeSession(row))
        else sessions.removeSync(sessionKey(row))
      })
      await root.database.close()
      await open()
    }

    it('changed a row: its entry is passed over, for owners and readers alike', async () => {
      await store.putSessions([of('viewer-a', 1)], [])
      expect(await sessionsOf('viewer-a')).toHaveLength(1)
      const changed = of('viewer-b', 2)
      await byThatBuild(changed, true)
      expect(await store.readSession('view-1', 'session-1')).toEqual([changed])
      expect(await sessionsOf('viewer-a')).toEqual([])
      const reader = await openLmdbSpeedStore({
        folder,
        mapBytes: MAP_BYTES,
        clock,
        access: 'reader',
      })
      const query = { ...everything, viewerPseudonym: 'viewer-a' }
      expect(await reader.readViewerSessions(query)).toEqual([])
      await reader.close()
      await store.putSessions([of('viewer-b', 3)], [])
      expect(await sessionsOf('viewer-a')).toEqual([])
      expect(await sessionsOf('viewer-b')).toEqual([of('viewer-b', 3)])
    })

    it('deleted a row: its entry is passed over', async () => {
      await store.putSessions([of('viewer-a', 1)], [])
      await byThatBuild(of('viewer-a', 1), false)
      expect(await sessionsOf('viewer-a')).toEqual([])
    })
  })

  it('is written by the process that opened it last', async () => {
    const second = await openLmdbSpeedStore({ folder, mapBytes: MAP_BYTES, clock })
    const overtaken = store.putMinutes([minuteRow()])
    await expect(overtaken).rejects.toMatchObject({ code: 'SPEED_OVERTAKEN' })
    await second.putMinutes([minuteRow({ key: '["b"]' })])
    expect(await second.readMinutes(all)).toMatchObject([{ key: '["b"]' }])
    await second.close()
  })
})

function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'backhaul-speed-'))
}
