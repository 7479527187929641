/** Where the batch keeps what in the object store. */
import { assert } from '../shared/runtime/errors.ts'
import { RAW_TOPICS, type RawTopic } from './raw-line.ts'

const RUN_DIGITS = 10
const OFFSET_DIGITS = 20
const FILE_DIGITS = 5
const RANGE_DIGITS = 6

export const LEASE_NAME = 'leases/batch'

/** What is under them belongs to runs, and is raw files. */
export const RUNS_FOLDER = 'batch/runs/'
export const RAW_FOLDER = 'raw/'

export function runFolder(run: number): string {
  return `${RUNS_FOLDER}${digits(run, RUN_DIGITS)}`
}

export function cutName(run: number): string {
  return `${runFolder(run)}/cut.json`
}

export function manifestName(run: number): string {
  return `${runFolder(run)}/manifest.json`
}

export function stagingListName(run: number): string {
  return `${runFolder(run)}/staging.json`
}

export function reportName(run: number): string {
  return `${runFolder(run)}/report.json`
}

/** Staging file of a kind (`events`, `frames`, …) made from the raw file of this number. */
export function stagingFileName(run: number, kind: string, file: number): string {
  return `${runFolder(run)}/${kind}-${digits(file, FILE_DIGITS)}.parquet`
}

/** What is under it says what shards have made of the ranges of a run's cut. */
export function partsFolder(run: number): string {
  return `${runFolder(run)}/parts/`
}

/** What was made of the range that has this place in the cut, from 0. */
export function partName(run: number, range: number): string {
  return `${partsFolder(run)}${digits(range, RANGE_DIGITS)}.json`
}

/** Staging file that a shard has made of a range's raw file of this number. */
export function partFileName(run: number, kind: string, range: number, file: number): string {
  return `${runFolder(run)}/${kind}-${digits(range, RANGE_DIGITS)}-${digits(file, FILE_DIGITS)}.parquet`
}

/** What is under it goes when the replay or backfill is over. */
export const REPLAYS_FOLDER = 'batch/replays/'

/** Staging file of a replay or backfill. */
export function replayFileName(replay: string, kind: string, file: number): string {
  return `${REPLAYS_FOLDER}${replay}/${kind}-${digits(file, FILE_DIGITS)}.parquet`
}

/** One object for each view of the speed store that a replay has begun to fill. */
export const REPLAY_VIEWS_FOLDER = 'batch/replay-views/'

export function replayViewName(view: string): string {
  return `${REPLAY_VIEWS_FOLDER}${view}.json`
}

/** Stands while raw files are being joined. */
export const COMPACTION_NAME = 'batch/compaction.json'

export interface RawFilePlace {
  readonly topic: string
  readonly partition: number
  /** Largest append time up to the file's first record, epoch ms. */
  readonly hourOfMs: number
  readonly first: number
  readonly last: number
}

/** What is under it is raw files of the topic. */
export function rawTopicFolder(topic: string): string {
  return `${RAW_FOLDER}topic=${topic}/`
}

export function rawFileName({ topic, partition, hourOfMs, first, last }: RawFilePlace): string {
  const time = new Date(hourOfMs).toISOString()
  const folders = [
    `topic=${topic}`,
    `dt=${time.slice(0, 10)}`,
    `hour=${time.slice(11, 13)}`,
    `p=${digits(partition, 2)}`,
    `${digits(first, OFFSET_DIGITS)}-${digits(last, OFFSET_DIGITS)}.ndjson.zst`,
  ]
  return `${RAW_FOLDER}${folders.join('/')}`
}

/** Of a file that begins as the one of this name and ends with the offset `last`. */
export function joinedFileName(name: string, last: number): string {
  const [first = ''] = name.slice(name.lastIndexOf('/') + 1).split('-')
  const folder = name.slice(0, name.lastIndexOf('/'))
  return `${folder}/${first}-${digits(last, OFFSET_DIGITS)}.ndjson.zst`
}

export interface ParsedRawFile {
  readonly topic: RawTopic
  readonly partition: number
  readonly first: number
  /** Inclusive. */
  readonly last: number
}

/** Of a file of a run, or of one that was joined or written anew; `undefined` for anything else. */
export function parseRawFileName(name: string): ParsedRawFile | undefined {
  const { topic: found, partition, first, last } = RAW_FILE_NAME.exec(name)?.groups ?? {}
  const topic = RAW_TOPICS.find((one) => one === found)
  if (topic === undefined) return undefined
  return { topic, partition: Number(partition), first: Number(first), last: Number(last) }
}

const RAW_FILE_NAME =
  /^raw\/topic=(?<topic>[^/]+)\/dt=[^/]+\/hour=\d\d\/p=(?<partition>\d+)\/(?<first>\d{20})-(?<last>\d{20})(?:-g\d+)?\.ndjson\.zst$/

/** The run of an object under its folder. */
export function runOfName(name: string): number {
  return Number(name.slice(RUNS_FOLDER.length).split('/', 1)[0])
}

/** The UTC day of append of a raw file's records. */
export function rawFileDay(name: string): string {
  const day = RAW_FILE_DAY.exec(name)?.groups?.['day']
  assert(day !== undefined, `the name of a raw file has its day, received ${name}`)
  return day
}

const RAW_FILE_DAY = /\/dt=(?<day>\d{4}-\d{2}-\d{2})\//

function digits(value: number, width: number): string {
  return String(value).padStart(width, '0')
}
