/**
 * Rows 14 to 16 of the fault matrix at the store: a row that was acknowledged is there whatever
 * happened since, one that was not is refused in a way that asks for a repeat, and the store comes
 * back without anybody's doing.
 */
import { execFileSync } from 'node:child_process'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startCassandra, type Cassandra } from '../../scripts/services/cassandra.ts'
import { MINUTE_MS } from '../qoe/aggregates.ts'
import { systemClock } from '../runtime/clock.ts'
import { systemRandom } from '../runtime/random.ts'
import { createTelemetryBase, type TelemetryBase } from '../runtime/telemetry.ts'
import type { CassandraConfig } from './cassandra-config.ts'
import { openCassandraSpeedStore } from './cassandra-speed-store.ts'
import type { MinuteRow } from './rows.ts'
import { minuteRow, partitionRow, sessionRow } from './speed-store.contract.ts'
import type { SpeedStore } from './speed-store.ts'
import { cassandraSettings } from './testing/cassandra-settings.ts'

/** A node that was started again, on a busy machine, must have answered by then. */
const HEALED = { timeout: 90_000, interval: 200 }
const UNAVAILABLE = { code: 'SPEED_UNAVAILABLE', spec: { retryable: true } }

let cassandra: Cassandra
let store: SpeedStore
let base: TelemetryBase
let shared: CassandraConfig
let view = 0

beforeAll(async () => {
  cassandra = await startCassandra({ proxied: true })
  shared = cassandraSettings({ contactPoints: [cassandra.contactPoint] })
})
afterAll(() => cassandra.stop())

const open = async (changes: Partial<CassandraConfig> = {}): Promise<SpeedStore> => {
  base = createTelemetryBase('silent')
  return openCassandraSpeedStore({
    config: { ...shared, ...changes },
    clock: systemClock,
    random: systemRandom,
    telemetry: base,
  })
}
/** A test's rows are in a view of their own. */
const rowOf = (index: number, overrides: Partial<MinuteRow> = {}) =>
  minuteRow({ view: `view-${view}`, key: `["k${index}"]`, ...overrides })
const written = async (from: SpeedStore = store): Promise<MinuteRow[]> => {
  const startMs = minuteRow().minuteStartMs
  const query = { cut: 'cdn', fromMs: startMs, toMs: startMs + MINUTE_MS, limit: 100_000 }
  return from.readMinutes({ view: `view-${view}`, ...query })
}
/** Puts the row again and again, as a writer does, until the store has it. */
const putUntilTaken = async (row: MinuteRow): Promise<void> => {
  const put = () =>
    store.putMinutes([row]).then(
      () => 'taken',
      (error: unknown) => error,
    )
  await expect.poll(put, HEALED).toBe('taken')
}

beforeEach(async () => {
  view += 1
  store = await open({ requestTimeoutMs: 1_000 })
})
afterEach(async () => {
  cassandra.proxy.heal()
  await store.close()
})

describe('a write whose answer is lost', () => {
  it('is done, and its repeat changes neither its value nor its stamp', async () => {
    const witness = await open({ contactPoints: [cassandra.directContactPoint] })
    const [before, later] = [rowOf(0, { stampUs: 10 }), rowOf(0, { stampUs: 11, lastOffset: 99 })]
    await store.putMinutes([before])
    cassandra.proxy.inject('down', { blackHole: true })
    const writing = store.putMinutes([later])
    await expect.poll(() => written(witness)).toEqual([later])
    cassandra.proxy.heal()
    // The swallowed answer never comes: the first try times out, a repeat is answered.
    await writing
    expect(await written(witness)).toEqual([later])
    await witness.close()
  })

  it('does not go before a later row of a higher stamp when it is repeated', async () => {
    const other = await open({ contactPoints: [cassandra.directContactPoint] })
    await store.putMinutes([rowOf(0, { stampUs: 1 })])
    cassandra.proxy.inject('down', { blackHole: true })
    const writing = store.putMinutes([rowOf(0, { stampUs: 10 })])
    const newer = rowOf(0, { stampUs: 20, lastOffset: 5 })
    await other.putMinutes([newer])
    cassandra.proxy.heal()
    await writing
    expect(await written()).toEqual([newer])
    await other.close()
  })

  it('fails as unavailable when no answer ever comes, within a bound of its own', async () => {
    cassandra.proxy.inject('down', { blackHole: true })
    await expect(store.putMinutes([rowOf(0)])).rejects.toMatchObject(UNAVAILABLE)
    await expect(written()).rejects.toMatchObject(UNAVAILABLE)
    cassandra.proxy.heal()
    await putUntilTaken(rowOf(0))
  })
})

describe('a node that is killed', () => {
  it('has every row that was acknowledged when it is back, and the store goes on alone', async () => {
    const acknowledged: MinuteRow[] = []
    let refused = 0
    let index = 0
    let stopping = false
    const writer = async (): Promise<void> => {
      while (!stopping) {
        const rows = Array.from({ length: 20 }, () => rowOf(index++))
        const taken = await store.putMinutes(rows).then(
          () => true,
          () => false,
        )
        if (taken) acknowledged.push(...rows)
        else refused += 1
      }
    }
    const writers = [writer(), writer(), writer()]
    await expect.poll(() => acknowledged.length).toBeGreaterThan(1_000)
    await cassandra.kill()
    await expect.poll(() => refused, HEALED).toBeGreaterThan(2)
    stopping = true
    await Promise.all(writers)
    await expect(store.putPartitions([partitionRow()])).rejects.toMatchObject(UNAVAILABLE)
    await cassandra.start()
    await putUntilTaken(rowOf(-1))
    const found = new Set((await written()).map(({ key }) => key))
    expect(acknowledged.filter(({ key }) => !found.has(key))).toEqual([])
  })

  it('does not keep a store from being opened, which connects when it is back', async () => {
    await cassandra.kill()
    const early = await open()
    await expect(early.putSessions([sessionRow()], [])).rejects.toMatchObject(UNAVAILABLE)
    await cassandra.start()
    await expect
      .poll(() => early.readPartitions('nobody').catch((error: unknown) => error), HEALED)
      .toEqual([])
    await early.close()
  })
})

describe('a node whose disk is full', () => {
  it('acknowledges nothing that is not there when it has space again', async () => {
    // No file may grow any more, so that the next segment of the commit log cannot be made.
    execFileSync('prlimit', ['--pid', `${cassandra.pid}`, '--fsize=4096'])
    const acknowledged: MinuteRow[] = []
    const large = JSON.stringify(['x'.repeat(20_000)])
    const fill = async (): Promise<unknown> => {
      for (let index = 0; index < 10_000; index++) {
        const row = rowOf(index, { key: large.replace('x', `${index}`) })
        await store.putMinutes([row])
        acknowledged.push(row)
      }
      return 'never full'
    }
    expect(await fill().catch((error: unknown) => error)).toMatchObject(UNAVAILABLE)
    await cassandra.kill()
    await cassandra.start()
    await putUntilTaken(rowOf(-1))
    const found = new Set((await written()).map(({ key }) => key))
    expect(acknowledged.length).toBeGreaterThan(0)
    expect(acknowledged.filter(({ key }) => !found.has(key))).toEqual([])
  })
})
