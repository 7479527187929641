import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openLmdbEventLog } from '../../shared/log/lmdb-event-log.ts'
import { createSealer, encodeReject, type RejectRecord } from '../../shared/log/reject-record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import { acquireLease } from '../../shared/objects/lease.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { openLmdbSpeedStore } from '../../shared/speed/lmdb-speed-store.ts'
import { minuteRow } from '../../shared/speed/speed-store.contract.ts'
import { openDataFolder } from '../../standalone/data-folder.ts'
import { LEASE_NAME } from '../object-names.ts'
import { BatchMachine, PARTITIONS } from '../testing/batch-machine.ts'
import { CommandsOn, type Ended, expectRefusal, type Found } from '../testing/commands-on.ts'
import { fillLog } from '../testing/scenario.ts'
import { commands } from './commands.ts'
import { Stores } from './stores.ts'

const START_MS = 1_772_323_200_000
const DAY = '2026-03-01'
/** A machine under load takes its time for a hundred durable appends and a run. */
const BUILD_TIMEOUT_MS = 120_000
/** Some thirty commands one after another, on a machine under load. */
const ALL_COMMANDS_TIMEOUT_MS = 120_000

let machine: BatchMachine
let clock: ManualClock

beforeAll(async () => {
  clock = new ManualClock(START_MS)
  machine = await BatchMachine.open({ clock })
  await fillLog({ log: machine.ports.log, clock, partitions: PARTITIONS, seed: 7, turns: 40 })
  await machine.closeStores()
  await writeFile(join(machine.folder, 'format.json'), '{"format":1}\n')
}, BUILD_TIMEOUT_MS)
afterAll(() => machine.close())

const run = (line: string, environment: Record<string, string> = {}): Promise<Ended> =>
  new CommandsOn(machine.folder, clock).run(line, environment)
const json = (line: string): Promise<Found> => new CommandsOn(machine.folder, clock).json(line)

async function runTheBatch(): Promise<void> {
  const { code, errors } = await run('batch run')
  if (code !== 0) throw new Error(errors)
}

describe('before the first run', () => {
  test('reconcile, backfill and ledger show say that a run is needed', async () => {
    // The live side of this machine never ran.
    expectRefusal(await run('ledger show session-1/0'), 1, 'CLI_LEDGER_ABSENT')
    expectRefusal(await run(`backfill --from ${DAY} --to ${DAY}`), 1, 'CLI_NO_RUN')
  })

  test('batch run is refused while another holds the lease', async () => {
    const objects = await openFolderObjectStore({ folder: join(machine.folder, 'objects'), clock })
    const holder = 'another'
    const lease = await acquireLease(objects, {
      name: LEASE_NAME,
      holder,
      durationMs: 60_000,
      clock,
    })
    try {
      const refused = await run('batch run')
      expectRefusal(refused, 3, 'LEASE_HELD')
      expect(refused.errors).toContain(holder)
      expectRefusal(await run(`backfill --from ${DAY} --to ${DAY}`), 3, 'LEASE_HELD')
    } finally {
      await lease.release()
      await objects.close()
    }
  })
})

describe('with a run', () => {
  beforeAll(runTheBatch, BUILD_TIMEOUT_MS)

  test('a run is complete', async () => {
    const { output } = await run('ledger show batch/runs/0000000001/manifest.json')
    expect(output).toContain('run       1,')
  })

  test('batch run has nothing to do, and says so', async () => {
    expect(await run('batch run')).toMatchObject({
      code: 0,
      output: expect.stringContaining('nothing new') as string,
    })
  })

  test('an event leads to its file, and the file, the staging file and the place back to it', async () => {
    const { code, found } = await json('ledger show session-1/0')
    expect(code).toBe(0)
    const [step] = found['steps'] as {
      readonly place: { topic: string; partition: number; first: number }
      readonly entry: { file: string; stagingFile: string; jobId: string }
      readonly tables: { table: string; rows: number }[]
    }[]
    expect(step?.entry.file).toMatch(/^raw\/topic=playback\.events\//)
    expect(step?.entry.jobId).toBe('batch-1-load-events')
    expect(step?.tables.find(({ table }) => table === 'frames')?.rows).toBe(1)
    const { topic, partition, first } = step?.place ?? { topic: '', partition: 0, first: 0 }
    const place = await run(`ledger show ${topic}/${partition}@${first}`)
    expect(place.output).toContain('session_id session-1, seq 0')
    for (const name of [step?.entry.file, step?.entry.stagingFile])
      expect((await run(`ledger show ${name}`)).output).toContain(`${step?.entry.file}`)
    expectRefusal(await run('ledger show session-1/999'), 1, 'CLI_LEDGER_ABSENT')
    expectRefusal(await run('ledger show nothing'), 2, 'CLI_USAGE_INVALID')
  })

  test('of the events of a frame the one that is asked for is listed, and the others counted', async () => {
    const [frame] = await withMachine((opened) =>
      opened.query(
        'SELECT session_id, MAX(seq) AS seq, COUNT(*) AS n FROM events GROUP BY session_id, log_partition, log_offset HAVING COUNT(*) > 2 LIMIT 1',
      ),
    )
    const [id, seq, count] = [frame?.['session_id'], frame?.['seq'], Number(frame?.['n'])]
    const { output } = await run(`ledger show ${String(id)}/${String(seq)}`)
    expect(output.match(/ seq \d+,/g)).toEqual([` seq ${String(seq)},`])
    expect(output).toContain(`events: ${count}\n`)
    expect(output).toContain(`… and ${count - 1} more of the same record`)
  })

  test('backfill puts back facts that are lost, with several threads too', async () => {
    const names = ['sessions', 'session_minutes', 'qoe_minute']
    const before = await withMachine((opened) => opened.tables())
    await withMachine(loseFacts)
    expect((await withMachine((opened) => opened.tables()))['qoe_minute']).toEqual([])
    const { code, found } = await json(`backfill --from ${DAY} --to 2026-03-02 --parallel 2`)
    expect({ code, run: found['run'] }).toEqual({ code: 0, run: 1 })
    const after = await withMachine((opened) => opened.tables())
    for (const name of names) {
      expect(after[name]?.length).toBeGreaterThan(0)
      expect(after[name]).toEqual(before[name])
    }
  })

  test('verify finds a file that was altered and one that is missing', async () => {
    expect(await json('verify')).toMatchObject({ code: 0, found: { faults: [] } })
    const [altered, missing] = await rawPaths()
    const [first, second] = [await readFile(altered ?? ''), await readFile(missing ?? '')]
    try {
      await writeFile(altered ?? '', Buffer.concat([first.subarray(0, -1), Buffer.of(0x7f)]))
      const found = await json('verify')
      expect(found.code).toBe(1)
      expect(found.found['faults']).toMatchObject([{ fault: 'altered' }])
      await rm(missing ?? '')
      const both = (await json('verify')).found['faults'] as { readonly fault: string }[]
      expect(both.map(({ fault }) => fault).toSorted()).toEqual(['altered', 'missing'])
    } finally {
      await writeFile(altered ?? '', first)
      await writeFile(missing ?? '', second)
    }
    expect((await run('verify')).code).toBe(0)
  })
})

describe('rejects', () => {
  const at = () => clock.nowMs()
  const event = (seq: number) => ({ seq, type: 'heartbeat', at: at(), playheadMs: 1_000 })
  const frame = (sessionId: string, seqs: readonly number[], v = 1) => ({
    v,
    sentAt: at(),
    session: { sessionId, contentId: 'c', viewerId: 'raw-viewer' },
    events: seqs.map(event),
  })

  beforeEach(runTheBatch, BUILD_TIMEOUT_MS)

  test('list counts by code and narrows by code and time', async () => {
    const { code, found } = await json('dlq list')
    expect(code).toBe(0)
    expect(Object.keys(found['codes'] as object)).toContain('EVENT_FIELD_INVALID')
    expect((await json('dlq list --code NO_SUCH')).found).toEqual({ codes: {}, rejects: [] })
    expect((await json('dlq list --since 2027-01-01')).found).toEqual({ codes: {}, rejects: [] })
  })

  test('replay says when bytes were not sealed with this key, or not at all', async () => {
    const { code, found } = await json('dlq replay --code EVENT_FIELD_INVALID --dry-run')
    expect(code).toBe(1)
    const { rejects, failed } = found as { rejects: Record<string, number>; failed: object[] }
    expect(rejects['sealed']).toBeGreaterThan(0)
    expect(failed[0]).toMatchObject({ outcome: 'sealed', code: 'SEAL_DAMAGED' })
  })

  test('replay decodes a poison record and a line of CMCD again', async () => {
    const poison = {
      session: { sessionId: 'was-poison', contentId: 'c' },
      sentAt: at(),
      receivedAt: at(),
      events: [event(0)],
    }
    const line = `sid="from-cmcd",sn=0,ts=${at()},e=ps,sta=p,v=2`
    await appendRejects([
      { code: 'P', bytes: poison, stage: 'processor', sessionId: 'was-poison' },
      { code: 'P', bytes: line, stage: 'cmcd' },
    ])
    expect(await json('dlq replay --code P')).toMatchObject({
      code: 0,
      found: { rejects: { replayed: 2 }, events: 2 },
    })
    expect((await run('batch run')).code).toBe(0)
    for (const name of ['was-poison', 'from-cmcd'])
      expect((await run(`ledger show ${name}/0`)).output).toContain(`session_id ${name}`)
  })

  test('replay says of a record that was too long to keep where all of it is, and appends nothing', async () => {
    // What was kept reads as a frame by chance; it is the beginning of another record all the same.
    const beginning = { ...frame('was-cut', [0]), receivedAt: at() }
    await appendRejects([
      {
        code: 'PROCESSOR_RECORD_POISON',
        bytes: beginning,
        stage: 'processor',
        sessionId: 'was-cut',
        source: { partition: 1, offset: 77 },
        cutFromBytes: 10_000_000,
      },
    ])
    const before = await eventRecords()
    expect(await json('dlq replay --code PROCESSOR_RECORD_POISON')).toMatchObject({
      code: 1,
      found: {
        events: 0,
        rejects: { sealed: 1, replayed: 0 },
        failed: [
          {
            outcome: 'sealed',
            code: 'PROCESSOR_RECORD_POISON',
            detail:
              'it holds the beginning only: all 10000000 bytes are in playback.events/1, offset 77',
          },
        ],
      },
    })
    expect(await eventRecords()).toEqual(before)
  })

  test('replay appends what is valid by now once, and says why the rest is not', async () => {
    await appendRejects([
      { code: 'A', bytes: frame('new-session', [0, 1]) },
      { code: 'A', bytes: frame('other', [0], 9) },
      { code: 'A', bytes: event(900), sessionId: 'session-1' },
      { code: 'A', bytes: event(1), sessionId: 'never-seen', seq: 1 },
      { code: 'A', bytes: { seq: 901, type: 'nonsense' }, sessionId: 'session-1', seq: 901 },
    ])
    const expected = { replayed: 2, kept: 0, already: 0, invalid: 2, sealed: 0, noContext: 1 }
    const before = await eventRecords()
    const dry = await json('dlq replay --code A --dry-run')
    expect(dry).toMatchObject({ code: 1, found: { dryRun: true, events: 3, rejects: expected } })
    expect(await eventRecords()).toHaveLength(before.length)
    const first = await json('dlq replay --code A')
    expect(first).toMatchObject({ code: 1, found: { events: 3, rejects: expected } })
    const added = (await eventRecords()).slice(before.length - (await eventRecords()).length)
    const text = added.join('\n')
    expect(text).toContain('new-session')
    expect(text).toContain('viewerPseudonym')
    expect(text).not.toContain('raw-viewer')
    // Once from the log's tail, once from the tables.
    for (const step of ['verify', 'batch run']) {
      expect((await run(step)).code).toBe(0)
      const again = await json('dlq replay --code A')
      expect(again.found).toMatchObject({ events: 0, rejects: { replayed: 0, already: 2 } })
    }
    expect((await run('ledger show new-session/1')).output).toContain('events: ')
  })

  test('replay keeps a rejected seq as rejected, and names and counts it', async () => {
    await appendRejects([
      { code: 'B', bytes: event(950), sessionId: 'session-1', seq: 950 },
      { code: 'B', bytes: event(951), sessionId: 'session-1', seq: 951 },
      { code: 'C', bytes: event(952), sessionId: 'session-1', seq: 952 },
      // Accepted when it was sent again.
      { code: 'C', bytes: event(0), sessionId: 'session-1', seq: 0 },
    ])
    const before = await eventRecords()
    const { code, found } = await json('dlq replay --code B --code C')
    expect({ code, ...found }).toMatchObject({
      code: 1,
      events: 0,
      rejects: { replayed: 0, kept: 3, already: 1 },
      keptByCode: { B: 2, C: 1 },
      failed: [{ outcome: 'kept', code: 'B', detail: 'session-1/950 is valid by now' }, {}, {}],
    })
    const { output } = await run('dlq replay --code B --code C')
    expect(output).toContain('kept as rejected: B session-1/951 is valid by now')
    expect(output).toContain('kept as rejected: 1 C')
    expect(await eventRecords()).toEqual(before)
  })
})

test(
  'every command line of docs/cli.md and of the help is understood',
  async () => {
    const text = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'cli.md'), 'utf8')
    const documented = [...text.matchAll(/^npx backhaul ([a-z].*)$/gm)].map(
      ([, line]) => line ?? '',
    )
    for (const { name } of commands)
      expect(documented.some((line) => line.startsWith(name))).toBe(true)
    for (const line of new Set([...documented, ...commands.flatMap(({ examples }) => examples)])) {
      // A shard of an indexed job knows by it which one it is.
      const { code, output, errors } = await run(line, { JOB_COMPLETION_INDEX: '3' })
      expect({ line, errors, isAnswered: output !== '' || /^[A-Z_]+: /.test(errors) }).toEqual({
        line,
        errors: expect.not.stringContaining('CLI_USAGE') as string,
        isAnswered: true,
      })
      // This machine has neither a cloud (4) nor a speed store (75).
      expect([0, 1, 4, 75]).toContain(code)
    }
  },
  ALL_COMMANDS_TIMEOUT_MS,
)

describe('bad input', () => {
  test.each([
    ['nonsense', 'CLI_COMMAND_UNKNOWN'],
    ['batch', 'CLI_COMMAND_UNKNOWN'],
    ['verify --nope', 'CLI_USAGE_INVALID'],
    ['verify file', 'CLI_USAGE_INVALID'],
    ['ledger show', 'CLI_USAGE_INVALID'],
    ['reconcile --from yesterday', 'CLI_USAGE_INVALID'],
    ['reconcile --from 2026-03-02 --to 2026-03-01', 'CLI_USAGE_INVALID'],
    ['batch run --accept-loss everything', 'CLI_USAGE_INVALID'],
    ['backfill', 'CLI_USAGE_INVALID'],
    ['backfill --from 2026-02-30 --to 2026-03-01', 'CLI_USAGE_INVALID'],
    ['backfill --from 2026-03-01 --to 2026-03-01 --parallel 0', 'CLI_USAGE_INVALID'],
    ['backfill --from 2026-03-01 --to 2026-03-01 --parallel 5', 'CLI_USAGE_INVALID'],
    ['replay', 'CLI_USAGE_INVALID'],
    ['replay --range playback.rejects/0@0-1 --view again', 'CLI_USAGE_INVALID'],
    ['replay --range playback.events/0', 'CLI_USAGE_INVALID'],
    ['replay --range playback.nothing/0@0-1', 'CLI_USAGE_INVALID'],
    ['replay --range playback.events/0@9-8', 'CLI_USAGE_INVALID'],
    ['replay --view ../view', 'CLI_USAGE_INVALID'],
    ['erase', 'CLI_USAGE_INVALID'],
    ['erase --viewer ', 'CLI_USAGE_INVALID'],
  ])('%s is refused as %s', async (line, code) => {
    expectRefusal(await run(line), 2, code)
  })

  test('a folder that is none, or of another format, is refused and nothing is made', async () => {
    const nowhere = join(machine.folder, 'nowhere')
    expectRefusal(await run('verify', { BACKHAUL_DATA_DIR: nowhere }), 4, 'STANDALONE_DATA_ABSENT')
    expect(await readdir(machine.folder)).not.toContain('nowhere')
    const format = join(machine.folder, 'format.json')
    await writeFile(format, '{"format":99}\n')
    try {
      expectRefusal(await run('verify'), 4, 'STANDALONE_DATA_FORMAT')
    } finally {
      await writeFile(format, '{"format":1}\n')
    }
    expectRefusal(await run('verify', { BACKHAUL_PARTITIONS: 'x' }), 4, 'CONFIG_INVALID')
  })

  test('every command has help with its examples, and all are listed', async () => {
    const all = await run('--help')
    expect(all.code).toBe(0)
    for (const { name, examples } of commands) {
      expect(all.output).toContain(name)
      const { code, output } = await run(`${name} --help`)
      expect(code).toBe(0)
      for (const example of examples) expect(output).toContain(`npx backhaul ${example}`)
    }
    expect((await run('')).code).toBe(2)
  })
})

async function withMachine<Result>(
  action: (machine: BatchMachine) => Promise<Result>,
): Promise<Result> {
  const opened = await BatchMachine.open({ folder: machine.folder, clock })
  try {
    return await action(opened)
  } finally {
    await opened.closeStores()
  }
}

/** Removes every row of the facts. */
async function loseFacts({ ports }: BatchMachine): Promise<void> {
  const session = await ports.warehouse.open()
  try {
    for (const [table, scope] of [
      ['sessions', 'session_id'],
      ['session_minutes', 'session_id'],
      ['qoe_minute', 'minute_ms'],
    ] as const)
      await session.replaceRows({
        table,
        select: { sql: `SELECT * FROM ${table} WHERE FALSE` },
        scope: [scope],
        scopeSelect: { sql: `SELECT DISTINCT ${scope} FROM ${table}` },
        dates: ['2026-02-28', DAY, '2026-03-02'],
        jobId: `lose-${table}`,
      })
  } finally {
    await session.close()
  }
}

/** Files of the object store that hold raw files. */
async function rawPaths(): Promise<string[]> {
  const folder = join(machine.folder, 'objects')
  const names = await readdir(folder, { recursive: true })
  return names.filter((name) => name.includes('.ndjson.zst')).map((name) => join(folder, name))
}

describe('alerts check', () => {
  const RULE = {
    id: 'any-start',
    title: 'Any start',
    metric: 'plays',
    cut: 'total',
    condition: { kind: 'threshold', direction: 'above', value: 0 },
    minimumSamples: 0,
  }
  const file = () => join(machine.folder, 'rules.json')

  test('names what is wrong with a rule, and exits with 1', async () => {
    await writeFile(file(), JSON.stringify({ rules: [{ ...RULE, treshold: 1 }] }))
    const ended = await run(`alerts check ${file()}`)
    expect(ended.code).toBe(1)
    expect(ended.errors).toContain('ALERT_RULES_INVALID')
    expect(ended.errors).toContain('rules[0]: Unrecognized key: "treshold"')
  })

  test('tries what is right on the last minutes, of which there may be none', async () => {
    await writeFile(file(), JSON.stringify({ rules: [RULE] }))
    expect(await run(`alerts check ${file()}`)).toMatchObject({
      code: 0,
      output: '1 rule is right',
    })
    const speed = await openLmdbSpeedStore({
      folder: join(machine.folder, 'speed'),
      mapBytes: 2 ** 28,
      clock,
    })
    const { view } = new Stores({
      environment: { BACKHAUL_PARTITIONS: `${PARTITIONS}` },
      readFile: () => '',
      clock,
    }).settings
    const minuteStartMs = Math.floor(clock.nowMs() / 60_000) * 60_000 - 120_000
    await speed.putMinutes([
      minuteRow({ view, cut: 'total', key: '[]', minuteStartMs, expiresAtMs: clock.nowMs() * 2 }),
    ])
    await speed.close()
    const tried = await run(`alerts check ${file()} --minutes 30`)
    expect(tried.code).toBe(0)
    expect(tried.output).toMatch(/raised any-start {} condition: \d+, bound 0/)
    const json = await run(`alerts check ${file()} --minutes 1 --json`)
    expect(JSON.parse(json.output)).toMatchObject({ rules: ['any-start'], minutes: 1, alerts: [] })
  })
})

interface RejectToAppend {
  readonly code: string
  /** As JSON, or a text as it stands. */
  readonly bytes: object | string
  readonly stage?: RejectRecord['stage']
  readonly sessionId?: string
  readonly seq?: number
  readonly source?: RejectRecord['source']
  readonly cutFromBytes?: number
}

async function withLog<Result>(
  action: (log: Awaited<ReturnType<typeof openLmdbEventLog>>) => Promise<Result>,
): Promise<Result> {
  const log = await openLmdbEventLog({
    folder: join(machine.folder, 'log'),
    mapBytes: 2 ** 28,
    clock,
  })
  try {
    return await action(log)
  } finally {
    await log.close()
  }
}

function appendRejects(rejects: readonly RejectToAppend[]): Promise<void> {
  const key = openDataFolder(machine.folder).secret('seal-key')
  const sealer = createSealer(Buffer.from(key, 'base64'))
  return withLog(async (log) => {
    for (const { bytes, ...reason } of rejects)
      await log.append(TOPICS.rejects, 0, [
        {
          key: reason.sessionId,
          value: encodeReject({
            stage: 'gateway',
            detail: '',
            receivedAtMs: clock.nowMs(),
            sealed: sealer.seal(
              Buffer.from(typeof bytes === 'string' ? bytes : JSON.stringify(bytes)),
            ),
            ...reason,
          }),
          headers: { schema: 'reject.v1' },
        },
      ])
  })
}

function eventRecords(): Promise<string[]> {
  return withLog(async (log) => {
    const values: { loggedAtMs: number; text: string }[] = []
    for (let partition = 0; partition < PARTITIONS; partition += 1) {
      const { start } = await log.offsets(TOPICS.events, partition)
      const request = { fromOffset: start, maxRecords: 10_000, maxBytes: 2 ** 26, waitMs: 0 }
      for (const { loggedAtMs, value } of (await log.read(TOPICS.events, partition, request))
        .records)
        values.push({ loggedAtMs, text: Buffer.from(value).toString() })
    }
    return values.toSorted((a, b) => a.loggedAtMs - b.loggedAtMs).map(({ text }) => text)
  })
}
