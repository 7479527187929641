/** The embedded stores between real processes: an owner, guests, and this process as a reader. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { EventLog, LogRecord } from '../log/event-log.ts'
import { openLmdbEventLog } from '../log/lmdb-event-log.ts'
import { systemClock } from '../runtime/clock.ts'
import { openLmdbSpeedStore } from '../speed/lmdb-speed-store.ts'
import {
  CONTESTED_KEY,
  TEST_PARTITIONS,
  type Ended,
  type StoreProcessOptions,
  type Written,
} from './testing/store-process.ts'

const PROGRAM = join(import.meta.dirname, 'testing', 'store-process.ts')
const PARTITIONS = Array.from({ length: TEST_PARTITIONS }, (_, partition) => partition)
/** Less than what some tests write: LMDB must map the file anew. */
const READER_MAP_BYTES = 1024 * 1024

let folder: string
let processes: StoreProcess[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backhaul-processes-'))
  processes = []
})
afterEach(async () => {
  await Promise.all(processes.map((process) => process.kill()))
  await rm(folder, { recursive: true })
})

describe('beside an owner that writes all the time', () => {
  it('a guest writes and a reader follows; nothing is lost, doubled or fenced', async () => {
    const owner = start({ access: 'owner', name: 'owner' })
    await owner.hasWritten(20)
    const reader = await openReader()
    const stop = new AbortController()
    const following = PARTITIONS.map((partition) => follow(reader, partition, stop.signal))
    const guest = start({ access: 'guest', name: 'guest', appends: 250 })
    expect(await guest.ended).toBe('done')
    const before = owner.written.length
    await owner.hasWritten(before + 20)
    expect(await owner.stop()).toBe('done')
    expect(guest.written).toHaveLength(1_000)
    for (const partition of PARTITIONS) {
      const { end } = await reader.offsets('t', partition)
      await expect.poll(() => following[partition]?.records.length).toBe(end)
    }
    stop.abort()
    await Promise.all(following.map(({ done }) => done))
    await reader.close()
    expectAllOf([owner, guest], following)
    await expectRowsOf([owner, guest])
  })

  it('a guest that is killed in the midst of commits costs the owner nothing', async () => {
    const owner = start({ access: 'owner', name: 'owner' })
    await owner.hasWritten(20)
    const guests: StoreProcess[] = []
    for (const writes of [1, 7, 40, 95, 150]) {
      const guest = start({ access: 'guest', name: `guest-${writes}` })
      guests.push(guest)
      await guest.hasWritten(writes)
      await guest.kill()
      const before = owner.written.length
      await owner.hasWritten(before + 50)
    }
    expect(await owner.stop()).toBe('done')
    await expectLogOf([owner, ...guests])
    await expectRowsOf([owner, ...guests])
  })

  it('a guest goes on when the owner is killed, and the next owner after it', async () => {
    const owner = start({ access: 'owner', name: 'owner' })
    await owner.hasWritten(20)
    const guest = start({ access: 'guest', name: 'guest' })
    await guest.hasWritten(50)
    await owner.kill()
    const before = guest.written.length
    await guest.hasWritten(before + 100)
    const next = start({ access: 'owner', name: 'next' })
    await next.hasWritten(100)
    expect(await guest.stop()).toBe('done')
    expect(await next.stop()).toBe('done')
    await expectLogOf([owner, guest, next])
    await expectRowsOf([owner, guest, next])
  })

  it('a second owner overtakes it, with a guest between them or not', async () => {
    const first = start({ access: 'owner', name: 'first' })
    await first.hasWritten(20)
    const guest = start({ access: 'guest', name: 'guest' })
    await guest.hasWritten(20)
    const second = start({ access: 'owner', name: 'second' })
    expect(await first.ended).toMatch(/^(LOG|SPEED)_OVERTAKEN$/)
    await second.hasWritten(50)
    expect(await guest.stop()).toBe('done')
    const third = start({ access: 'owner', name: 'third' })
    expect(await second.ended).toMatch(/^(LOG|SPEED)_OVERTAKEN$/)
    await third.hasWritten(50)
    expect(await third.stop()).toBe('done')
    await expectLogOf([first, guest, second, third])
  })

  it('grows the file beyond what a reader and a guest have mapped', async () => {
    const owner = start({ access: 'owner', name: 'owner', appends: 50, valueBytes: 400_000 })
    await owner.hasWritten(1)
    const reader = await openReader()
    expect((await reader.offsets('t', 0)).end).toBeGreaterThanOrEqual(0)
    const guest = start({ access: 'guest', name: 'guest', appends: 50, valueBytes: 400_000 })
    expect(await owner.ended).toBe('done')
    expect(await guest.ended).toBe('done')
    for (const partition of PARTITIONS)
      expect(await reader.offsets('t', partition)).toEqual({ start: 0, end: 100 })
    await reader.close()
    await expectLogOf([owner, guest])
  })
})

class StoreProcess {
  readonly name: string
  readonly written: Written[] = []
  /** Why it ended; `killed` when it did not say. */
  readonly ended: Promise<string>
  readonly #child: ChildProcess
  #errors = ''
  #onWrite: () => void = () => undefined

  constructor(options: StoreProcessOptions) {
    this.name = options.name
    const child = spawn(process.execPath, [PROGRAM, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    let reason = 'killed'
    createInterface(child.stdout).on('line', (text) => {
      const line = JSON.parse(text) as Written | Ended
      if ('ended' in line) reason = line.ended
      else this.written.push(line)
      this.#onWrite()
    })
    child.stderr.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()))
    this.ended = new Promise((resolve) =>
      child.once('close', () => resolve(this.#errors === '' ? reason : this.#errors)),
    )
  }

  /** Resolves when at least so many writes are durable; rejects when it ends before. */
  async hasWritten(writes: number): Promise<void> {
    const ended = this.ended.then((reason): never => {
      throw new Error(`${this.name} ended before ${writes} writes: ${reason}`)
    })
    ended.catch(() => undefined)
    while (this.written.length < writes)
      await Promise.race([new Promise<void>((resolve) => (this.#onWrite = resolve)), ended])
  }

  stop(): Promise<string> {
    this.#child.kill('SIGTERM')
    return this.ended
  }

  kill(): Promise<string> {
    this.#child.kill('SIGKILL')
    return this.ended
  }
}

function start(
  options: Pick<StoreProcessOptions, 'access' | 'name'> & Partial<StoreProcessOptions>,
): StoreProcess {
  const started = new StoreProcess({ folder, appends: 0, valueBytes: 0, ...options })
  processes.push(started)
  return started
}

function openReader(): Promise<EventLog> {
  const log = join(folder, 'log')
  const options = { mapBytes: READER_MAP_BYTES, clock: systemClock, access: 'reader' } as const
  return openLmdbEventLog({ ...options, folder: log })
}

interface Following {
  readonly records: LogRecord[]
  readonly done: Promise<void>
}

/** Reads the partition from its beginning until it is stopped. */
function follow(log: EventLog, partition: number, signal: AbortSignal): Following {
  const records: LogRecord[] = []
  const readOn = async (): Promise<void> => {
    while (!signal.aborted) {
      const fromOffset = (records.at(-1)?.offset ?? -1) + 1
      const bounds = { maxRecords: 100, maxBytes: 1 << 24, waitMs: 5_000 }
      const read = await log.read('t', partition, { fromOffset, ...bounds, signal })
      records.push(...read.records)
    }
  }
  return { records, done: readOn() }
}

/** Every durable append stands at the offset that was told, and what stands there has no gaps. */
function expectAllOf(writers: readonly StoreProcess[], partitions: readonly Following[]): void {
  for (const [partition, { records }] of partitions.entries()) {
    expect(records.map(({ offset }) => offset)).toEqual(records.map((_, index) => index))
    const times = records.map(({ loggedAtMs }) => loggedAtMs)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    const texts = records.map(textOf)
    expect(new Set(texts).size).toBe(texts.length)
    for (const writer of writers) {
      const told = writer.written.filter((written) => written.partition === partition)
      expect(told.map(({ offset }) => texts[offset])).toEqual(told.map(({ text }) => text))
      // What was asked for but not told of may be there too: one append of a process that ended.
      const found = texts.filter((text) => text.startsWith(`${writer.name} `))
      expect(found).toEqual(found.map((_, index) => `${writer.name} ${partition} ${index}`))
      expect(found.length - told.length).toBeLessThanOrEqual(1)
    }
  }
}

async function expectLogOf(writers: readonly StoreProcess[]): Promise<void> {
  const reader = await openReader()
  const stop = new AbortController()
  const read = PARTITIONS.map((partition) => follow(reader, partition, stop.signal))
  for (const [partition, { records }] of read.entries()) {
    const { end } = await reader.offsets('t', partition)
    await expect.poll(() => records.length).toBe(end)
  }
  stop.abort()
  await Promise.all(read.map(({ done }) => done))
  await reader.close()
  expectAllOf(writers, read)
}

/** Every row whose write was told of is there; of the contested ones, that of the highest stamp. */
async function expectRowsOf(writers: readonly StoreProcess[]): Promise<void> {
  const common = { folder: join(folder, 'speed'), mapBytes: READER_MAP_BYTES, clock: systemClock }
  const speed = await openLmdbSpeedStore({ ...common, access: 'reader' })
  const query = { view: 'v', cut: 'c', fromMs: 0, toMs: 1, limit: 1_000_000 }
  const rows = await speed.readMinutes(query)
  await speed.close()
  const found = new Set(rows.map(({ key, partition }) => `${key} ${partition}`))
  for (const { name, written } of writers)
    for (const { partition, text } of written)
      expect(found).toContain(`${JSON.stringify([name, text.split(' ').at(-1)])} ${partition}`)
  for (const partition of PARTITIONS) {
    const ofPartition = rows.filter((row) => row.partition === partition)
    const highest = Math.max(...ofPartition.map(({ stampUs }) => stampUs))
    const contested = ofPartition.find(({ key }) => key === CONTESTED_KEY)
    expect(contested?.stampUs).toBe(highest)
  }
}

function textOf({ value }: LogRecord): string {
  return Buffer.from(value).toString('utf8').split('\n')[0] ?? ''
}
