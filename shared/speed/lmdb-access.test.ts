/** Guests and readers of the LMDB speed store beside an owner, in one process. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Access } from '../lmdb/owner-row.ts'
import { ManualClock } from '../runtime/clock.ts'
import { EXPIRY_PERIOD_MS } from './lmdb-limits.ts'
import { openLmdbSpeedStore } from './lmdb-speed-store.ts'
import {
  describeSpeedStore,
  minuteRow,
  partitionRow,
  positionRow,
  sessionRow,
} from './speed-store.contract.ts'
import type { MinuteQuery, SpeedStore } from './speed-store.ts'

const MAP_BYTES = 128 * 1024 * 1024

describeSpeedStore('a guest of the LMDB speed store', async () => {
  const folder = await temporaryFolder()
  const clock = new ManualClock()
  return {
    open: () => openLmdbSpeedStore({ folder, mapBytes: MAP_BYTES, clock, access: 'guest' }),
    nowMs: () => clock.nowMs(),
    pass: (durationMs) => clock.advance(durationMs),
    dispose: () => rm(folder, { recursive: true }),
  }
})

describeSpeedStore(
  'a reader of the LMDB speed store, beside an owner that writes it,',
  async () => {
    const folder = await temporaryFolder()
    const clock = new ManualClock()
    const options = { folder, mapBytes: MAP_BYTES, clock }
    return {
      async open() {
        const owner = await openLmdbSpeedStore(options)
        return readsFrom(await openLmdbSpeedStore({ ...options, access: 'reader' }), owner)
      },
      nowMs: () => clock.nowMs(),
      pass: (durationMs) => clock.advance(durationMs),
      dispose: () => rm(folder, { recursive: true }),
    }
  },
)

describe('an LMDB speed store that several processes use', () => {
  let folder: string
  let clock: ManualClock
  let owner: SpeedStore
  let opened: SpeedStore[]
  const all: MinuteQuery = { view: 'view-1', cut: 'cdn', fromMs: 0, toMs: 2 ** 47, limit: 1_000 }

  const open = async (access: Access): Promise<SpeedStore> => {
    const store = await openLmdbSpeedStore({ folder, mapBytes: MAP_BYTES, clock, access })
    opened.push(store)
    return store
  }
  beforeEach(async () => {
    folder = await temporaryFolder()
    clock = new ManualClock()
    opened = []
    owner = await open('owner')
  })
  afterEach(async () => {
    for (const store of opened) await store.close()
    await rm(folder, { recursive: true })
  })

  it('keeps the row of the highest stamp, whoever writes it and when', async () => {
    const guest = await open('guest')
    const row = (stampUs: number) => minuteRow({ stampUs, lastOffset: stampUs })
    for (const [index, store] of [owner, guest, guest, owner].entries()) {
      await store.putMinutes([row(10 * (index + 1))])
      await (store === owner ? guest : owner).putMinutes([row(10 * index + 5)])
      expect(await owner.readMinutes(all)).toEqual([row(10 * (index + 1))])
    }
    const stamps = Array.from({ length: 50 }, (_, index) => 1_000 + ((index * 7) % 50))
    await Promise.all(
      stamps.map((stampUs, index) => (index % 2 === 0 ? owner : guest).putMinutes([row(stampUs)])),
    )
    expect(await guest.readMinutes(all)).toEqual([row(1_049)])
  })

  it('loses a session that a guest deletes, and gets it back from a writer that keeps it', async () => {
    const guest = await open('guest')
    await owner.putSessions([sessionRow()], [positionRow()])
    await guest.deleteSession('view-1', 'session-1')
    expect(await owner.readSession('view-1', 'session-1')).toEqual([])
    expect(await owner.readRecentSessions('view-1', 10)).toEqual([])
    const later = sessionRow({ stampUs: 9_000, firstReceivedAtMs: sessionRow().firstReceivedAtMs })
    await owner.putSessions([later], [])
    expect(await guest.readSession('view-1', 'session-1')).toEqual([later])
    expect(await guest.readRecentSessions('view-1', 10)).toEqual([later])
  })

  it('counts an expired row once, whoever deletes it', async () => {
    const guest = await open('guest')
    const rows = Array.from({ length: 700 }, (_, partition) =>
      minuteRow({ partition, expiresAtMs: clock.nowMs() + 1 }),
    )
    await owner.putMinutes(rows)
    await clock.advance(2)
    const removed = await Promise.all([owner.removeExpired(), guest.removeExpired()])
    expect(removed.reduce((sum, count) => sum + count)).toBe(700)
  })

  it('is not tidied by guests and readers themselves', async () => {
    await owner.putMinutes([minuteRow({ expiresAtMs: clock.nowMs() + 1 })])
    await owner.close()
    const guest = await open('guest')
    await open('reader')
    await clock.advance(2 * EXPIRY_PERIOD_MS)
    expect(await guest.removeExpired()).toBe(1)
  })

  it('refuses every write of a reader, which overtakes nobody', async () => {
    const reader = await open('reader')
    const refused = { code: 'SPEED_READ_ONLY', spec: { retryable: false } }
    for (const write of [
      reader.putMinutes([minuteRow()]),
      reader.putSessions([sessionRow()], [positionRow()]),
      reader.putPartitions([partitionRow()]),
      reader.deleteSession('view-1', 'session-1'),
      reader.removeExpired(),
    ])
      await expect(write).rejects.toMatchObject(refused)
    await owner.putMinutes([minuteRow()])
    expect(await reader.readMinutes(all)).toEqual([minuteRow()])
  })

  it('is neither opened nor made by a reader where there is none', async () => {
    const absent = join(folder, 'absent')
    const options = { mapBytes: MAP_BYTES, clock, access: 'reader', folder: absent } as const
    await expect(openLmdbSpeedStore(options)).rejects.toMatchObject({ code: 'SPEED_UNAVAILABLE' })
    expect(existsSync(absent)).toBe(false)
  })
})

/** The store of `owner` as `reader` sees it. */
function readsFrom(reader: SpeedStore, owner: SpeedStore): SpeedStore {
  return {
    putMinutes: (rows) => owner.putMinutes(rows),
    putSessions: (...args) => owner.putSessions(...args),
    putPartitions: (rows) => owner.putPartitions(rows),
    putRuleStates: (rows) => owner.putRuleStates(rows),
    deleteSession: (...args) => owner.deleteSession(...args),
    deleteView: (...args) => owner.deleteView(...args),
    removeExpired: () => owner.removeExpired(),
    readMinutes: (query) => reader.readMinutes(query),
    readSession: (...args) => reader.readSession(...args),
    readSessions: (...args) => reader.readSessions(...args),
    readPositions: (...args) => reader.readPositions(...args),
    readRecentSessions: (...args) => reader.readRecentSessions(...args),
    readViewerSessions: (query) => reader.readViewerSessions(query),
    readPartitions: (view) => reader.readPartitions(view),
    readRuleStates: (view) => reader.readRuleStates(view),
    async close() {
      await reader.close()
      await owner.close()
    },
  }
}

function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'backhaul-speed-'))
}
