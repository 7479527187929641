import { errors, types } from 'cassandra-driver'
import { beforeEach, describe, expect, it } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { seededRandom } from '../runtime/random.ts'
import { createTelemetryBase, type TelemetryBase } from '../runtime/telemetry.ts'
import { openingFailure } from './cassandra-failure.ts'
import { STATEMENT_ATTEMPTS_MAX } from './cassandra-limits.ts'
import { minuteWrite } from './cassandra-rows.ts'
import {
  CassandraStatements,
  type ResultPage,
  type StatementClient,
} from './cassandra-statements.ts'
import { createCassandraSpeedTelemetry } from './cassandra-telemetry.ts'
import { minuteRow } from './speed-store.contract.ts'
import { cassandraSettings } from './testing/cassandra-settings.ts'

/** Turns of 10 ms in which a repeat must have been sent. */
const TURNS_MAX = 1_000
const DONE: ResultPage = { rows: [], pageState: '' }
const TIMED_OUT = new errors.ResponseError(types.responseErrorCodes.writeTimeout, 'timed out')

describe('statements to Cassandra', () => {
  let clock: ManualClock
  let base: TelemetryBase
  let statements: CassandraStatements
  /** Every write that was sent, with its answer still open. */
  let sent: {
    readonly query: string
    readonly params: readonly unknown[]
    readonly answer: PromiseWithResolvers<ResultPage>
  }[]

  const send = (query: string, params: readonly unknown[]): Promise<ResultPage> => {
    const answer = Promise.withResolvers<ResultPage>()
    sent.push({ query, params, answer })
    return answer.promise
  }
  const client: StatementClient = {
    execute: send,
    batch: (queries) => send('batch', queries),
  }
  const writeOf = (cut: string, key = '[]') => minuteWrite(minuteRow({ cut, key }), clock.nowMs())
  /** The next write that is sent, when its time has come. */
  const nextSent = async () => {
    for (let turn = 0; turn < TURNS_MAX && sent.length === 0; turn++) await clock.advance(10)
    const [next] = sent.splice(0, 1)
    if (next === undefined) throw new Error('no write was sent')
    return next
  }

  beforeEach(() => {
    clock = new ManualClock()
    sent = []
    base = createTelemetryBase('silent')
    statements = new CassandraStatements({
      connection: { client: async () => client },
      config: cassandraSettings({ narrowWritesMax: 2, wideWritesMax: 3 }),
      clock,
      random: seededRandom(1),
      telemetry: createCassandraSpeedTelemetry(base),
    })
  })

  it('are sent again with the same stamp and values when it is not known if they were done', async () => {
    const writing = statements.write('narrow', [writeOf('total')])
    const first = await nextSent()
    first.answer.reject(TIMED_OUT)
    // Time passes before the repeat; what it writes does not depend on when it is sent.
    const second = await nextSent()
    expect([second.query, second.params]).toEqual([first.query, first.params])
    second.answer.resolve(DONE)
    await writing
    expect(await base.registry.metrics()).toContain(
      'speed_cassandra_repeats_total{class="narrow",reason="writeTimeout"} 1',
    )
  })

  it('fail as unavailable after so many tries, and the caller may try again', async () => {
    const failed = failureOf(statements.write('narrow', [writeOf('total')]))
    for (let attempt = 1; attempt <= STATEMENT_ATTEMPTS_MAX; attempt++)
      (await nextSent()).answer.reject(TIMED_OUT)
    expect(await failed).toMatchObject({
      code: 'SPEED_UNAVAILABLE',
      spec: { retryable: true },
      cause: TIMED_OUT,
    })
    expect(sent).toEqual([])
  })

  it.each([types.responseErrorCodes.unauthorized, types.responseErrorCodes.invalid])(
    'are repeated on code %i, which a store that has served says also for a while',
    async (code) => {
      const writing = statements.write('narrow', [writeOf('total')])
      const first = await nextSent()
      first.answer.reject(new errors.ResponseError(code, 'refused'))
      const second = await nextSent()
      expect([second.query, second.params]).toEqual([first.query, first.params])
      second.answer.resolve(DONE)
      await writing
    },
  )

  it('are not repeated when the store does not understand them', async () => {
    const failed = failureOf(statements.write('narrow', [writeOf('total')]))
    const { answer } = await nextSent()
    answer.reject(new errors.ResponseError(types.responseErrorCodes.syntaxError, 'no statement'))
    expect(await failed).toMatchObject({ code: 'SPEED_SCHEMA_UNFIT', spec: { retryable: false } })
  })

  it.each([
    [types.responseErrorCodes.unauthorized, 'SPEED_NOT_AUTHORIZED'],
    [types.responseErrorCodes.invalid, 'SPEED_SCHEMA_UNFIT'],
  ])('are not begun on a store that answers code %i to its opening', (code, expected) => {
    const failure = openingFailure(new errors.ResponseError(code, 'refused'))
    expect(failure).toMatchObject({ code: expected, spec: { retryable: false } })
  })

  it('are not repeated once the store is closing', async () => {
    const failed = failureOf(statements.write('narrow', [writeOf('total')]))
    const { answer } = await nextSent()
    statements.endRepeats()
    answer.reject(TIMED_OUT)
    expect(await failed).toMatchObject({ code: 'SPEED_UNAVAILABLE' })
  })

  it('of narrow cuts go ahead however many of wide cuts wait', async () => {
    const rows = Array.from({ length: 2_000 }, (_, index) => writeOf('content', `["c${index}"]`))
    const wide = statements.write('wide', rows)
    const flood = [await nextSent(), await nextSent(), await nextSent()]
    const narrow = statements.write('narrow', [writeOf('total')])
    const sentNext = await nextSent()
    expect(sentNext.params).toContain('total')
    sentNext.answer.resolve(DONE)
    await narrow
    expect(await base.registry.metrics()).toContain(
      'speed_cassandra_in_flight_statements{class="wide"} 3',
    )
    for (const { answer } of flood) answer.resolve(DONE)
    let done = false
    void wide.then(() => (done = true))
    while (!done) {
      for (const { answer } of sent.splice(0)) answer.resolve(DONE)
      await clock.advance(10)
      await new Promise(setImmediate)
    }
  })
})

function failureOf(writing: Promise<void>): Promise<unknown> {
  return writing.then(
    () => 'written',
    (error: unknown) => error,
  )
}
