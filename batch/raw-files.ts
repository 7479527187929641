/**
 * The second step: the records of the cut's ranges as raw files, a line a record, in the order of
 * the log. A file ends when it is large enough or when the hour of its append times is over, so its
 * bytes are a function of the records alone; a repeat writes the same names with the same bytes.
 * Of every partition that is written at the time, one fetch and one compressed file are in memory; the
 * file twice when it ends.
 */
import type { EventLog, LogRecord } from '../shared/log/event-log.ts'
import { type Erasures, readErasures } from '../shared/objects/erasures.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { assert } from '../shared/runtime/errors.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import type { BatchConfig } from './config.ts'
import { type Cut, type Problem, problemOf, type Range } from './cut.ts'
import { isErased } from './erase/erased-record.ts'
import { batchErrors } from './errors.ts'
import { inParallel } from './in-parallel.ts'
import type { Manifest, RawFileInfo, TakenRange } from './manifest.ts'
import { rawFileName } from './object-names.ts'
import { RawFile } from './raw-file.ts'
import { encodeErasedLine, encodeRawLine, type RawLine } from './raw-line.ts'
import { createOnce } from './run-objects.ts'
import type { BatchTelemetry } from './telemetry.ts'

export interface RawFilesContext {
  readonly log: EventLog
  readonly objects: ObjectStore
  readonly config: BatchConfig
  readonly failpoints: Failpoints
  readonly telemetry: BatchTelemetry
  /** Throws when the run must not go on. */
  assertMayGoOn(): void
}

/**
 * What has become of a range of the cut: its raw files, or why it could not be read, and the names of
 * those it has by then.
 */
export type WrittenRange =
  | { readonly taken: TakenRange; readonly files: readonly RawFileInfo[] }
  | { readonly problem: Problem; readonly files: readonly string[] }

/** Writes the files of every range that can be read, several at a time; resolves in their order. */
export async function writeRawFiles(
  context: RawFilesContext,
  cut: Cut,
  ranges: readonly Range[],
): Promise<WrittenRange[]> {
  const erasures = await readErasures(context.objects, cut.erasures)
  return inParallel(ranges, context.config.partitionsAtOnce, async (range) => {
    const writer = new RangeWriter({ ...context, erasures }, cut, range)
    try {
      return await writer.write()
    } catch (error) {
      return { problem: problemOf(range.topic, range.partition, error), files: writer.fileNames }
    }
  })
}

/** The manifest of the cut's ranges, in their order. */
export function manifestOf(cut: Cut, written: readonly WrittenRange[]): Manifest {
  const taken = written.flatMap((range) => ('taken' in range ? [range] : []))
  const failed = written.flatMap((range) => ('problem' in range ? [range] : []))
  return {
    format: 1,
    run: cut.run,
    ranges: taken.map((range) => range.taken),
    files: taken.flatMap(({ files }) => files),
    leftOut: [...cut.leftOut, ...failed.map(({ problem }) => problem)],
    givenUp: failed.flatMap((range) => range.files),
  }
}

interface RangeContext extends RawFilesContext {
  readonly erasures: Erasures
}

class RangeWriter {
  readonly #context: RangeContext
  readonly #cut: Cut
  readonly #range: Range
  readonly #files: RawFileInfo[] = []
  #file: RawFile | undefined
  #next: number
  #valueBytes = 0
  /** Largest append time so far; `null` where the history begins. */
  #loggedAtMaxMs: number | null

  constructor(context: RangeContext, cut: Cut, range: Range) {
    this.#context = context
    this.#cut = cut
    this.#range = range
    this.#next = range.first
    this.#loggedAtMaxMs = range.loggedAtMaxMs
  }

  /** Of the files that are there so far. */
  get fileNames(): string[] {
    return this.#files.map(({ name }) => name)
  }

  async write(): Promise<{ readonly taken: TakenRange; readonly files: readonly RawFileInfo[] }> {
    try {
      while (!this.#isFull()) await this.#add(await this.#fetch())
      await this.#endFile()
    } finally {
      this.#file?.abandon()
    }
    const { topic, topicId, partition, first } = this.#range
    const loggedAtMaxMs = this.#loggedAtMaxMs
    assert(loggedAtMaxMs !== null, 'a range has a record')
    const watermarkMs = loggedAtMaxMs - this.#cut.outOfOrdernessMs
    const taken = { topic, topicId, partition, first, end: this.#next, loggedAtMaxMs, watermarkMs }
    return { taken, files: this.#files }
  }

  /** Whether the range is taken as far as the run may; bytes are judged record by record. */
  #isFull(): boolean {
    return this.#next >= this.#range.end || this.#valueBytes >= this.#cut.runBytesMax
  }

  async #fetch(): Promise<readonly LogRecord[]> {
    const { log, config, assertMayGoOn } = this.#context
    assertMayGoOn()
    const { topic, partition, end } = this.#range
    const { records } = await log.read(topic, partition, {
      fromOffset: this.#next,
      maxRecords: Math.min(config.fetchRecordsMax, end - this.#next),
      maxBytes: config.fetchBytesMax,
      waitMs: 0,
    })
    if (records.length > 0) return records
    throw batchErrors.create('BATCH_PARTITION_UNREADABLE', {
      expected: `records of ${topic}/${partition} up to offset ${end}`,
      received: `none from offset ${this.#next} on`,
    })
  }

  async #add(records: readonly LogRecord[]): Promise<void> {
    for (const record of records) {
      if (this.#isFull()) return
      const beforeMs = this.#loggedAtMaxMs
      const loggedAtMaxMs = Math.max(beforeMs ?? record.loggedAtMs, record.loggedAtMs)
      if (this.#file?.isCompleteBefore(loggedAtMaxMs) === true) await this.#endFile()
      this.#file ??= new RawFile(record.offset, loggedAtMaxMs, this.#cut.rawFileBytes)
      await this.#file.add(record, this.#lineOf(record, beforeMs))
      this.#loggedAtMaxMs = loggedAtMaxMs
      this.#next = record.offset + 1
      this.#valueBytes += record.value.length
    }
  }

  #lineOf(record: LogRecord, beforeMs: number | null): RawLine {
    const { topic } = this.#range
    return isErased(this.#context.erasures, topic, record)
      ? encodeErasedLine(record, beforeMs)
      : encodeRawLine(topic, record, beforeMs)
  }

  async #endFile(): Promise<void> {
    if (this.#file === undefined) return
    const { objects, failpoints, telemetry } = this.#context
    const { topic, partition } = this.#range
    const { first, hourOfMs } = this.#file
    const { bytes, ...info } = await this.#file.end()
    this.#file = undefined
    const name = rawFileName({ topic, partition, hourOfMs, first, last: info.last })
    await createOnce(objects, name, bytes)
    this.#files.push({ name, topic, partition, ...info })
    telemetry.rawFileWritten(topic, info)
    await failpoints.hit('batch.afterSomeRawFiles')
  }
}
