/**
 * Puts a file of content metadata into `playback.content`: a record for each content that is not
 * there as the file says. A repeat writes nothing.
 */
import type { EventLog, NewRecord } from '../log/event-log.ts'
import { partitionOf } from '../log/partitioner.ts'
import { TOPICS } from '../log/topics.ts'
import type { BackhaulError } from '../runtime/errors.ts'
import { contentErrors } from './content-errors.ts'
import type { ContentFile } from './content-file.ts'
import { encodeContent, inOrder, type Content } from './content-record.ts'
import {
  CONTENT_APPEND_RECORDS,
  CONTENT_LOG_SHARE,
  CONTENT_RECORDS_PER_CONTENT_MAX,
  CONTENT_VERSIONS_MAX,
} from './limits.ts'
import { TopicContentSource, type ContentLog } from './topic-content-source.ts'

export interface LoadOptions {
  /** Whether versions are added to those that are known, and do not take their place. */
  readonly adds: boolean
  /** Whether nothing is written. */
  readonly isDryRun: boolean
  /** How much of the topic a partition of the log keeps, bytes; infinite where it compacts. */
  readonly keptBytes: number
  readonly signal: AbortSignal
}

export interface Loaded {
  /** Contents that are new or say something else now. */
  readonly written: number
  readonly unchanged: number
  readonly deleted: number
  /** Contents that were written again as they are, for the log to let go of their old records. */
  readonly rewritten: number
  /** Contents that did not fit, and records that could not be read. */
  readonly refused: readonly BackhaulError[]
}

const HEADERS = { schema: 'content.v1' } as const
const NO_VALUE = new Uint8Array(0)

/**
 * Throws `CONTENT_LOG_TOO_SMALL` before anything is written, and what the log throws: what was written
 * then stays, and the same call again writes the rest.
 */
export async function loadContent(
  log: ContentLog & Pick<EventLog, 'append'>,
  file: Pick<ContentFile, 'contents' | 'deleted'>,
  { adds, isDryRun, keptBytes, signal }: LoadOptions,
): Promise<Loaded> {
  const source = new TopicContentSource(log)
  const refused: BackhaulError[] = []
  await source.refresh((error) => refused.push(error), signal)
  const { catalogue } = source
  const written = new Map<string, Uint8Array>()
  let unchanged = 0
  for (const content of file.contents) {
    const known = catalogue.get(content.contentId)
    const wanted = adds && known !== undefined ? together(known, content) : content
    const value = encodeContent(wanted)
    if (known !== undefined && Buffer.compare(encodeContent(known), value) === 0) unchanged += 1
    else if (catalogue.put(wanted) === 'full')
      refused.push(contentErrors.create('CONTENT_TOO_MANY', { received: content.contentId }))
    else written.set(content.contentId, value)
  }
  const deleted = file.deleted.filter((id) => catalogue.get(id) !== undefined)
  for (const id of deleted) catalogue.delete(id)
  if (catalogue.bytes * CONTENT_LOG_SHARE > keptBytes)
    throw contentErrors.create('CONTENT_LOG_TOO_SMALL', {
      expected: `at least ${catalogue.bytes * CONTENT_LOG_SHARE} bytes a partition`,
      received: `${keptBytes}`,
    })
  const again = dueAgain(source, written)
  const records = [
    ...[...written].map(([key, value]) => ({ key, value, headers: HEADERS })),
    ...deleted.map((key) => ({ key, value: NO_VALUE, headers: HEADERS })),
    ...again.map((one) => ({ key: one.contentId, value: encodeContent(one), headers: HEADERS })),
  ]
  if (!isDryRun) await appendAll(log, records, signal)
  return {
    written: written.size,
    unchanged,
    deleted: deleted.length,
    rewritten: again.length,
    refused,
  }
}

function together(known: Content, { contentId, versions }: Content): Content {
  const all = inOrder([...known.versions, ...versions])
  return { contentId, versions: all.slice(-CONTENT_VERSIONS_MAX) }
}

/** Contents whose record lies so far back that the log may let it go before the next load. */
function dueAgain(source: TopicContentSource, written: ReadonlyMap<string, unknown>): Content[] {
  const { catalogue } = source
  const recordsMax = CONTENT_RECORDS_PER_CONTENT_MAX * catalogue.contents
  return [...catalogue].filter(
    ({ contentId }) => !written.has(contentId) && source.recordsAfter(contentId) > recordsMax,
  )
}

type KeyedRecord = NewRecord & { readonly key: string }

async function appendAll(
  log: ContentLog & Pick<EventLog, 'append'>,
  records: readonly KeyedRecord[],
  signal: AbortSignal,
): Promise<void> {
  const { partitions } = await log.describeTopic(TOPICS.content)
  const byPartition = Map.groupBy(records, ({ key }) => partitionOf(key, partitions))
  for (const [partition, own] of byPartition)
    for (let first = 0; first < own.length; first += CONTENT_APPEND_RECORDS) {
      signal.throwIfAborted()
      await log.append(TOPICS.content, partition, own.slice(first, first + CONTENT_APPEND_RECORDS))
    }
}
