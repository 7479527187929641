/**
 * Content metadata: what the catalogue of a streaming service says of a content, as of the time from
 * which on it says so. It comes as lines of JSON, a line a version, and stands in `playback.content`
 * as one record a content with all its versions, because compaction keeps the last record of a key.
 */
import { z } from 'zod'
import { describeIssue, describeReceived } from '../events/issue-detail.ts'
import { isObject, parseJsonBytes } from '../events/json-text.ts'
import {
  EPOCH_MS_MAX,
  epochMsSchema,
  hasFewLabels,
  LABELS_MAX,
  text,
  whole,
} from '../events/schema.ts'
import type { BackhaulError } from '../runtime/errors.ts'
import { contentErrors } from './content-errors.ts'
import { CONTENT_DURATION_MAX_MS, CONTENT_LINE_MAX_BYTES, CONTENT_VERSIONS_MAX } from './limits.ts'

const contentIdSchema = text(128)

function isDay(value: string): boolean {
  const atMs = /^\d{4}-\d{2}-\d{2}$/.test(value) ? Date.parse(value) : Number.NaN
  return Number.isFinite(atMs) && new Date(atMs).toISOString().startsWith(value)
}

const metadataFields = {
  title: text(256).describe('Title, for people.'),
  contentType: z
    .enum(['live', 'vod'])
    .optional()
    .describe('A live channel or event, or on demand.'),
  seriesId: text(128).optional().describe('The series that it belongs to.'),
  seriesTitle: text(256).optional().describe('Title of the series.'),
  season: whole(10_000).optional().describe('Number of the season.'),
  episode: whole(100_000).optional().describe('Number of the episode.'),
  genre: text(64).optional().describe('The one genre that it is counted under.'),
  provider: text(128).optional().describe('Who supplies it: a studio, a broadcaster, a league.'),
  language: text(35).optional().describe('Original language, BCP 47.'),
  durationMs: whole(CONTENT_DURATION_MAX_MS).optional().describe('Length, ms.'),
  releaseDate: z
    .string()
    .refine(isDay, 'a day, YYYY-MM-DD')
    .optional()
    .describe('First release or broadcast, YYYY-MM-DD.'),
  labels: z
    .record(text(32), text(64))
    .refine(hasFewLabels, `at most ${LABELS_MAX} labels`)
    .optional()
    .describe('The operator’s own dimensions.'),
}

/** What is said of a content; fields that it does not name are ignored, as in events. */
export const metadataSchema = z.object(metadataFields)
export type ContentMetadata = z.infer<typeof metadataSchema>

/** Metadata with the time from which on it holds, up to that of the next version. */
export interface ContentVersion extends ContentMetadata {
  readonly validFromMs: number
}

export interface Content {
  readonly contentId: string
  /** Ascending by `validFromMs`, which no two share; at least one. */
  readonly versions: readonly ContentVersion[]
}

/** The metadata as the API shows it. */
export const servedMetadataSchema = z.object({
  validFromMs: z.int().min(0).describe('From when on it holds, epoch ms; 0 for always'),
  ...metadataFields,
})

/** An absent one holds from always. */
const validFromSchema = z
  .unknown()
  .optional()
  .transform((value = 0, context) => {
    const atMs = typeof value === 'string' && RFC_3339.test(value) ? Date.parse(value) : value
    const verdict = epochMsSchema.safeParse(atMs)
    if (verdict.success) return verdict.data
    context.addIssue({ code: 'custom', message: 'epoch ms, or RFC 3339 with an offset' })
    return z.NEVER
  })
const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/

const lineSchema = z.strictObject({
  contentId: contentIdSchema,
  validFrom: validFromSchema,
  ...metadataFields,
})
const deletionSchema = z.strictObject({ contentId: contentIdSchema, deleted: z.literal(true) })

/** A line of a file: a version, or the end of a content. */
export type ContentLine =
  | { readonly contentId: string; readonly version: ContentVersion }
  | { readonly contentId: string; readonly deleted: true }

/** What is wrong with a line comes back as its error, never thrown. */
export function parseContentLine(
  line: Uint8Array,
): ContentLine | { readonly error: BackhaulError } {
  if (line.byteLength > CONTENT_LINE_MAX_BYTES)
    return {
      error: contentErrors.create('CONTENT_LINE_TOO_LONG', {
        expected: `at most ${CONTENT_LINE_MAX_BYTES} bytes`,
        received: `${line.byteLength}`,
      }),
    }
  const parsed = parseJsonBytes(line)
  if ('problem' in parsed) return { error: lineInvalid(parsed.problem) }
  const { value } = parsed
  if (isObject(value) && 'deleted' in value) {
    const verdict = deletionSchema.safeParse(value)
    if (!verdict.success) return { error: lineInvalid(issueText(value, verdict.error)) }
    return verdict.data
  }
  const verdict = lineSchema.safeParse(value)
  if (!verdict.success) return { error: lineInvalid(issueText(value, verdict.error)) }
  const { contentId, validFrom, ...metadata } = verdict.data
  return { contentId, version: { validFromMs: validFrom, ...metadata } }
}

function issueText(value: unknown, { issues }: z.ZodError): string {
  const [issue] = issues
  if (issue?.code === 'unrecognized_keys')
    return `content: expected fields of the schema alone, received ${describeReceived(issue.keys[0])}`
  return describeIssue('content', value, issues)
}

/** The parts of a text such as `content.title: expected string, received nothing`. */
function lineInvalid(detail: string): BackhaulError {
  const match = /^(?:(?<path>\S+): )?expected (?<expected>.*), received (?<received>.*)$/s.exec(
    detail,
  )
  const { path, expected = detail, received } = match?.groups ?? {}
  return contentErrors.create('CONTENT_LINE_INVALID', {
    expected: path === undefined ? expected : `${path} to be ${expected}`,
    ...(received === undefined ? {} : { received }),
  })
}

const recordSchema = z.object({
  contentId: contentIdSchema,
  versions: z
    .array(z.object({ validFromMs: whole(EPOCH_MS_MAX), ...metadataFields }))
    .min(1)
    .max(CONTENT_VERSIONS_MAX),
})

/** The value of a content's record: one line of JSON, the same for equal contents. */
export function encodeContent({ contentId, versions }: Content): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ contentId, versions: versions.map(canonical) }))
}

/** Reads back what `encodeContent` wrote; `undefined` when it is not such a record of the key. */
export function decodeContent(key: string | undefined, value: Uint8Array): Content | undefined {
  const parsed = parseJsonBytes(value)
  if ('problem' in parsed) return undefined
  const verdict = recordSchema.safeParse(parsed.value)
  if (!verdict.success || verdict.data.contentId !== key) return undefined
  return { contentId: key, versions: inOrder(verdict.data.versions) }
}

/** Versions by the time from which on they hold; of two with the same time the later one counts. */
export function inOrder(versions: readonly ContentVersion[]): ContentVersion[] {
  const byTime = new Map(versions.map((version) => [version.validFromMs, version]))
  return [...byTime.values()].toSorted((a, b) => a.validFromMs - b.validFromMs)
}

/** The version that holds at a time; none does before the first. */
export function versionAt(
  versions: readonly ContentVersion[],
  atMs: number,
): ContentVersion | undefined {
  return versions.findLast(({ validFromMs }) => validFromMs <= atMs)
}

const FIELD_ORDER = ['validFromMs', ...Object.keys(metadataFields)] as (keyof ContentVersion)[]

function canonical(version: ContentVersion): object {
  return Object.fromEntries(
    FIELD_ORDER.flatMap((field) => {
      const value = version[field]
      if (value === undefined) return []
      return [[field, typeof value === 'object' ? sorted(value) : value]]
    }),
  )
}

function sorted(labels: Readonly<Record<string, string>>): object {
  return Object.fromEntries(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
