/**
 * The file of the upstream feeds, RELAY_FEEDS_PATH:
 *
 *   {"feeds":[{"id":"acme","mapping":"json-array","connections":8,
 *     "urls":["wss://feed.example/events?shard={connection}&from={cursor}","wss://backup.example/…"],
 *     "headers":{"authorization":{"path":"/secrets/acme"}},"silenceMaxMs":15000}]}
 *
 * In a URL, `{connection}` is the number of the connection, from 0, and `{cursor}` the position to
 * go on from, empty at first; a header's value stands there or in a file.
 */
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { parseJsonBytes } from '../../shared/events/json-text.ts'
import type { BackhaulError } from '../../shared/runtime/errors.ts'
import { relayErrors } from './errors.ts'
import { FEED_CONNECTIONS_MAX, FEED_HEADERS_MAX, FEED_URLS_MAX, FEEDS_MAX } from './limits.ts'

const isWebSocketUrl = (text: string) => /^wss?:\/\/[^/?#]+/.test(text) && URL.canParse(text)

const headerSchema = z.union([z.string(), z.strictObject({ path: z.string().min(1) })])

const feedSchema = z.strictObject({
  /** Part of object names and metric labels. */
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and hyphens'),
  mapping: z.string().min(1),
  urls: z.array(z.string().refine(isWebSocketUrl, 'a ws: or wss: URL')).min(1).max(FEED_URLS_MAX),
  connections: z.int().min(1).max(FEED_CONNECTIONS_MAX).default(1),
  subprotocol: z.string().min(1).optional(),
  headers: z
    .record(z.string().regex(/^[A-Za-z0-9-]+$/), headerSchema)
    .refine((headers) => Object.keys(headers).length <= FEED_HEADERS_MAX, 'fewer headers')
    .default({}),
  /** Certificate authorities instead of those that the system trusts, PEM. */
  caPath: z.string().min(1).optional(),
  /** Without a message, a ping or the answer to ours for so long, the connection is dead. */
  silenceMaxMs: z.int().min(100).max(3_600_000).default(30_000),
  /** For feeds that are never quiet: without a message for so long, likewise. */
  messageSilenceMaxMs: z.int().min(100).max(86_400_000).optional(),
  /**
   * Whether numbers of messages go on over connections: then gaps between two connections are
   * measured, and what is repeated is known as such.
   */
  numbersGoOn: z.boolean().default(false),
  /** Whether the feed goes on from a cursor; what it sent since is then never lost. */
  resumable: z.boolean().default(false),
})

const fileSchema = z.strictObject({ feeds: z.array(feedSchema).min(1).max(FEEDS_MAX) })

export type FeedEntry = z.infer<typeof feedSchema>

export interface Feed extends Omit<FeedEntry, 'headers' | 'caPath'> {
  /** With the values of files read in. */
  readonly headers: Readonly<Record<string, string>>
  readonly ca: string | undefined
}

/** Throws `RELAY_FEEDS_INVALID`, naming the field, or `RELAY_SECRET_UNREADABLE`. */
export function readFeeds(path: string, readFile: (path: string) => string): readonly Feed[] {
  const { feeds } = parseFile(path, readFile)
  const ids = new Set<string>()
  for (const { id } of feeds) {
    if (ids.has(id))
      throw invalid(path, 'each feed to have an id of its own', `two feeds called ${id}`)
    ids.add(id)
  }
  const read = (named: string) => readSecret(resolve(dirname(path), named), readFile)
  return feeds.map(({ headers, caPath, mapping, ...rest }) => ({
    ...rest,
    // As the file's other paths, a module is found from where the file lies.
    mapping: mapping.startsWith('.') ? resolve(dirname(path), mapping) : mapping,
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [
        name.toLowerCase(),
        typeof value === 'string' ? value : read(value.path).trim(),
      ]),
    ),
    ca: caPath === undefined ? undefined : read(caPath),
  }))
}

function parseFile(path: string, readFile: (path: string) => string) {
  const parsed = parseJsonBytes(new TextEncoder().encode(readFeedsFile(path, readFile)))
  // What `JSON.parse` says of a text shows some of it, and headers may stand there.
  if ('problem' in parsed) throw invalid(path, 'a file of JSON', parsed.problem)
  const verdict = fileSchema.safeParse(parsed.value)
  if (verdict.success) return verdict.data
  const [issue] = verdict.error.issues
  throw invalid(path, issue?.message ?? 'its shape', `at ${issue?.path.join('.') || 'the top'}`)
}

function readFeedsFile(path: string, readFile: (path: string) => string): string {
  try {
    return readFile(path)
  } catch (error) {
    throw invalid(path, 'a readable file', String(error))
  }
}

function readSecret(path: string, readFile: (path: string) => string): string {
  try {
    return readFile(path)
  } catch (cause) {
    throw relayErrors.create('RELAY_SECRET_UNREADABLE', { expected: path, cause })
  }
}

function invalid(path: string, expected: string, received: string): BackhaulError {
  return relayErrors.create('RELAY_FEEDS_INVALID', { expected: `${path}: ${expected}`, received })
}

/** An address as it may be told: its query, and a name and password in it, may be secrets. */
export function shownAddress(address: string): string {
  const url = URL.parse(address)
  if (url === null) return address.split('?')[0] ?? ''
  return `${url.protocol}//${url.host}${url.pathname}`
}

/** The address of one connection at its position. */
export function addressOf(template: string, connection: number, cursor: string): string {
  return template
    .replaceAll('{connection}', String(connection))
    .replaceAll('{cursor}', encodeURIComponent(cursor))
}
