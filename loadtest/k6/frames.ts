/**
 * Prebuilt frames: building objects in k6 costs ten times more than the gateway takes to accept
 * them. A frame is copied from a template and three texts of fixed width are written into it.
 *
 * A session's device clock stands still against the templates: its frames bear the same times as
 * every other session's, as if its clock were wrong by the moment at which it began. Such a clock is
 * what the protocol's clock offset is for, so no time has to be written into a frame.
 */
export interface LoadShape {
  /** Six letters or digits that no other run has; part of every session id. */
  readonly runId: string
  readonly eventsPerFrame: number
  /** Frames of a whole session. */
  readonly framesPerSession: number
  /** Time between two frames of a session at the full rate, ms. */
  readonly frameSpanMs: number
  /** Device clock of the first event, epoch ms. */
  readonly deviceStartMs: number
}

export interface FrameOfSession {
  /** Number of the session in its run. */
  readonly session: number
  /** Position of the frame in its session, from 0. */
  readonly index: number
  readonly isLast: boolean
}

const SESSION_DIGITS = 9
const CONTENTS = 2_000
const VARIANTS = 12
const CDNS = ['cdn-a', 'cdn-b', 'cdn-c']
const DEVICES = ['tv', 'phone', 'desktop', 'tablet']
const COUNTRIES = ['DE', 'FR', 'US', 'BR', 'IN', 'JP']
const PLAYERS = ['hls.js', 'shaka-player', 'dash.js']

interface Template {
  readonly bytes: ArrayBuffer
  readonly sessionAt: number
  readonly viewerAt: number
  readonly contentAt: number
  readonly frameAt: number
}

export class FrameBuilder {
  readonly #shape: LoadShape
  readonly #templates = new Map<string, Template>()

  constructor(shape: LoadShape) {
    this.#shape = shape
  }

  /** The frame's bytes under this number of its connection. */
  build(frame: FrameOfSession, frameNumber: number): ArrayBuffer {
    const number = `${frameNumber}`
    const template = this.#template(frame, number.length)
    const buffer = template.bytes.slice(0)
    const bytes = new Uint8Array(buffer)
    const session = digits(frame.session, SESSION_DIGITS)
    write(bytes, template.sessionAt, session)
    write(bytes, template.viewerAt, session)
    write(bytes, template.contentAt, digits(frame.session % CONTENTS, 4))
    write(bytes, template.frameAt, number)
    return buffer
  }

  #template(frame: FrameOfSession, numberDigits: number): Template {
    const variant = frame.session % VARIANTS
    const key = `${variant} ${frame.index} ${frame.isLast} ${numberDigits}`
    const known = this.#templates.get(key)
    if (known !== undefined) return known
    const made = makeTemplate(frame, { variant, numberDigits, shape: this.#shape })
    this.#templates.set(key, made)
    return made
  }
}

interface TemplateParts {
  readonly variant: number
  readonly numberDigits: number
  readonly shape: LoadShape
}

function makeTemplate(frame: FrameOfSession, { variant, numberDigits, shape }: TemplateParts) {
  const { frameSpanMs, deviceStartMs } = shape
  const zeros = digits(0, SESSION_DIGITS)
  const context = JSON.stringify({
    sessionId: `k6-${shape.runId}-${zeros}`,
    contentId: 'content-0000',
    streamType: 'vod',
    streamingFormat: 'hls',
    cdn: CDNS[variant % CDNS.length],
    viewerId: `viewer-${zeros}`,
    device: { type: DEVICES[variant % DEVICES.length] },
    player: { name: PLAYERS[variant % PLAYERS.length], version: `${variant % 4}.2.1` },
    country: COUNTRIES[variant % COUNTRIES.length],
  })
  const sentAt = deviceStartMs + (frame.index + 1) * frameSpanMs
  const number = '0'.repeat(numberDigits)
  const text =
    `{"v":1,"frame":${number},"sentAt":${sentAt},"session":${context},` +
    `"events":[${eventsOf(frame, shape).join(',')}]}`
  const bytes = new Uint8Array(text.length)
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at)
  return {
    bytes: bytes.buffer,
    sessionAt: text.indexOf(zeros),
    viewerAt: text.indexOf(zeros, text.indexOf('viewer-')),
    contentAt: text.indexOf('content-0000') + 'content-'.length,
    frameAt: text.indexOf('"frame":') + '"frame":'.length,
  }
}

/** Request, start and bitrate first; then heartbeats with a stall now and then; an end at last. */
function eventsOf(frame: FrameOfSession, shape: LoadShape): string[] {
  const { eventsPerFrame, frameSpanMs, deviceStartMs } = shape
  const events: string[] = []
  for (let n = 0; n < eventsPerFrame; n++) {
    const seq = frame.index * eventsPerFrame + n
    const at = deviceStartMs + Math.floor((frame.index + (n + 0.5) / eventsPerFrame) * frameSpanMs)
    const ends = frame.isLast && n === eventsPerFrame - 1
    events.push(JSON.stringify(ends ? { seq, type: 'sessionEnd', at } : eventAt(seq, at)))
  }
  return events
}

const STALL_EVERY = 37

function eventAt(seq: number, at: number): object {
  if (seq === 0) return { seq, type: 'playbackRequest', at }
  if (seq === 1) return { seq, type: 'playbackStart', at, playheadMs: 0 }
  if (seq === 2) return { seq, type: 'renditionUpdate', at, videoBitrateKbps: 4_500, widthPx: 1920 }
  if (seq % STALL_EVERY === 5) return { seq, type: 'playbackStall', at, bufferMs: 0 }
  if (seq % STALL_EVERY === 6) return { seq, type: 'playbackStart', at }
  return { seq, type: 'heartbeat', at, playheadMs: seq * 100, bufferMs: 12_000 + (seq % 7) * 100 }
}

function digits(value: number, width: number): string {
  return `${value}`.padStart(width, '0')
}

function write(bytes: Uint8Array, at: number, text: string): void {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index)
}
