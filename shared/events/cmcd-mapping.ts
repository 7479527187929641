/**
 * What a CMCD v2 event-mode record means in the event schema (CTA-5004-B names on the left):
 *
 *   e=ps  sta s/p/k/r/a/e/f/q → playbackRequest/Start, seekStart, playbackStall/Pause/Finish/Fail,
 *         sessionEnd; other states → custom `cmcd.sta.<state>`
 *   e=t   heartbeat      e=bc  renditionUpdate      e=pr  playbackRateUpdate
 *   e=e   playbackFail when the record's own `sta` is f, else warning
 *   e=as, abs / ae, abe → adBreakStart / adBreakEnd (a single ad is a break of one)
 *   e=h   cdnUpdate to `cdn`, or without it to the host name `h`
 *   any other e, and any of the above without the value it needs → custom `cmcd.<e>`
 *
 * A value that the schema does not take is left out. `msd` stays on its record as `startupMs`.
 */
import type { CmcdRecord, TypedNumber } from './cmcd-record.ts'
import { eventSchema, type PlaybackEventType, type SessionContext } from './schema.ts'

export interface EventIdentity {
  readonly seq: number
  /** Epoch ms. */
  readonly at: number
  /** The record's `e`. */
  readonly token: string
}

export interface MappedEvent {
  readonly type: PlaybackEventType
  /** In the order it is written; passes the event schema. */
  readonly event: Readonly<Record<string, unknown>>
}

export function mapEvent(identity: EventIdentity, record: CmcdRecord): MappedEvent {
  const { seq, at, token } = identity
  const own = mappings.get(token)?.(record)
  const startupMs = own?.type === 'playbackStart' ? {} : keptStartup(record)
  if (own !== undefined) {
    const event = fit({ seq, type: own.type, at, ...own.fields, ...startupMs })
    if (event !== undefined) return { type: own.type, event }
  }
  const custom = customEvent(token, customValue(token, record))
  return {
    type: custom.type,
    event: { seq, type: custom.type, at, ...custom.fields, ...startupMs },
  }
}

const STREAM_TYPES = new Map<string, SessionContext['streamType']>([
  ['v', 'vod'],
  ['l', 'live'],
  ['ll', 'lowLatencyLive'],
])
const STREAMING_FORMATS = new Map<string, SessionContext['streamingFormat']>([
  ['h', 'hls'],
  ['d', 'dash'],
  ['s', 'smooth'],
  ['o', 'other'],
])
const CDN_MAX_CHARS = 64

/** The context a record carries; device and player are not in CMCD. */
export function mapContext(
  sessionId: string,
  contentId: string | undefined,
  record: CmcdRecord,
): SessionContext {
  const streamType = STREAM_TYPES.get(record.token('st') ?? '')
  const streamingFormat = STREAMING_FORMATS.get(record.token('sf') ?? '')
  const cdn = cdnOf(record)
  return {
    sessionId,
    ...(contentId !== undefined && { contentId }),
    ...(streamType !== undefined && { streamType }),
    ...(streamingFormat !== undefined && { streamingFormat }),
    ...(cdn !== undefined && { cdn }),
  }
}

interface Mapped {
  readonly type: PlaybackEventType
  readonly fields: Readonly<Record<string, unknown>>
}
type Mapping = (record: CmcdRecord) => Mapped | undefined

const STATES = new Map<string, PlaybackEventType>([
  ['s', 'playbackRequest'],
  ['p', 'playbackStart'],
  ['k', 'seekStart'],
  ['r', 'playbackStall'],
  ['a', 'playbackPause'],
  ['e', 'playbackFinish'],
  ['f', 'playbackFail'],
  ['q', 'sessionEnd'],
])
const CODE_MAX_CHARS = 64
const MESSAGE_MAX_CHARS = 256
const NAME_MAX_CHARS = 64
const CODE_UNKNOWN = 'CMCD_UNKNOWN'

const adBreakStart: Mapping = () => ({ type: 'adBreakStart', fields: {} })
const adBreakEnd: Mapping = () => ({ type: 'adBreakEnd', fields: {} })

const mappings = new Map<string, Mapping>([
  ['ps', mapState],
  ['t', mapHeartbeat],
  ['e', mapError],
  ['bc', mapBitrate],
  ['pr', mapRate],
  ['h', mapHost],
  ['as', adBreakStart],
  ['abs', adBreakStart],
  ['ae', adBreakEnd],
  ['abe', adBreakEnd],
])

function mapState(record: CmcdRecord): Mapped | undefined {
  const state = record.token('sta')
  if (state === undefined) return undefined
  const type = STATES.get(state)
  const playheadMs = record.whole('pt')
  if (type === undefined) return customEvent(`sta.${state}`, undefined)
  if (type === 'playbackFail') return { type, fields: errorFields(record) }
  if (type === 'playbackStart')
    return { type, fields: { playheadMs, startupMs: record.whole('msd') } }
  if (type === 'playbackStall')
    return { type, fields: { playheadMs, bufferMs: smallest(record.numbers('bl')) } }
  return { type, fields: type === 'sessionEnd' ? {} : { playheadMs } }
}

function mapHeartbeat(record: CmcdRecord): Mapped {
  const fields = {
    playheadMs: record.whole('pt'),
    bufferMs: smallest(record.numbers('bl')),
    droppedFrames: record.whole('dfa'),
    liveLatencyMs: record.whole('ltc'),
    throughputKbps: largest(record.numbers('mtp')),
  }
  return { type: 'heartbeat', fields }
}

function mapError(record: CmcdRecord): Mapped {
  const isFatal = record.token('sta') === 'f'
  return { type: isFatal ? 'playbackFail' : 'warning', fields: errorFields(record) }
}

/** The first code; further ones go into the message. */
function errorFields(record: CmcdRecord): Readonly<Record<string, unknown>> {
  const [code = CODE_UNKNOWN, ...further] = record.texts('ec')
  const message = further.length === 0 ? undefined : clip(further.join(', '), MESSAGE_MAX_CHARS)
  return { code: clip(code, CODE_MAX_CHARS), message }
}

/** A total is written as video with no audio beside it, so that the sum holds from here on. */
function mapBitrate(record: CmcdRecord): Mapped | undefined {
  const rates = record.numbers('br')
  const videoBitrateKbps = rateOf(rates, 'v')
  const audioBitrateKbps = rateOf(rates, 'a')
  if (videoBitrateKbps !== undefined || audioBitrateKbps !== undefined)
    return { type: 'renditionUpdate', fields: { videoBitrateKbps, audioBitrateKbps } }
  const total =
    rates.find(({ types }) => types.size === 0 || types.has('av'))?.value ??
    record.numbers('ab')[0]?.value
  if (total === undefined) return undefined
  return { type: 'renditionUpdate', fields: { videoBitrateKbps: total, audioBitrateKbps: 0 } }
}

function mapRate(record: CmcdRecord): Mapped | undefined {
  const playbackRate = record.decimal('pr')
  return playbackRate === undefined
    ? undefined
    : { type: 'playbackRateUpdate', fields: { playbackRate } }
}

function mapHost(record: CmcdRecord): Mapped | undefined {
  const cdn = cdnOf(record)
  return cdn === undefined ? undefined : { type: 'cdnUpdate', fields: { cdn } }
}

/** The CDN's id, else the host name (in lower case, as DNS compares it), unless it is too long. */
function cdnOf(record: CmcdRecord): string | undefined {
  const candidates = [record.text('cdn'), record.text('h')?.toLowerCase()]
  return candidates.find((name) => name !== undefined && name.length <= CDN_MAX_CHARS)
}

function customEvent(token: string, value: string | undefined): Mapped {
  const name = `cmcd.${token}`.slice(0, NAME_MAX_CHARS)
  return { type: 'custom', fields: value === undefined ? { name } : { name, value } }
}

/** The name of a player's own event, and whether it went to the background or came back. */
function customValue(token: string, record: CmcdRecord): string | undefined {
  if (token === 'ce') return clip(record.text('cen') ?? '', MESSAGE_MAX_CHARS) || undefined
  // CTA-5004-B: entered when the flag is there, left when it is not.
  return token === 'b' ? String(record.flag('bg') ?? false) : undefined
}

const STARTUP_MAX_MS = 86_400_000

function keptStartup(record: CmcdRecord): { readonly startupMs?: number } {
  const startupMs = record.whole('msd')
  const isValid = startupMs !== undefined && startupMs >= 0 && startupMs <= STARTUP_MAX_MS
  return isValid ? { startupMs } : {}
}

/** Leaves out what the schema does not take; undefined when it cannot do without. */
function fit(candidate: Record<string, unknown>): Readonly<Record<string, unknown>> | undefined {
  const event = Object.fromEntries(
    Object.entries(candidate).filter(([, value]) => value !== undefined),
  )
  const verdict = eventSchema.safeParse(event)
  if (verdict.success) return event
  for (const { path } of verdict.error.issues) delete event[String(path[0])]
  return eventSchema.safeParse(event).success ? event : undefined
}

function rateOf(rates: readonly TypedNumber[], type: string): number | undefined {
  return rates.find(({ types }) => types.has(type))?.value
}

/** The buffer that runs dry first is the one that stops playback. */
function smallest(numbers: readonly TypedNumber[]): number | undefined {
  return numbers.length === 0 ? undefined : Math.min(...numbers.map(({ value }) => value))
}

function largest(numbers: readonly TypedNumber[]): number | undefined {
  return numbers.length === 0 ? undefined : Math.max(...numbers.map(({ value }) => value))
}

/** Cuts without leaving half a surrogate pair. */
function clip(text: string, maxChars: number): string {
  const cut = text.slice(0, maxChars)
  return cut.isWellFormed() ? cut : cut.slice(0, -1)
}
