/** Synthetic frames for benchmarks: many sessions, mostly heartbeats, all dimensions present. */

const SESSIONS = 2_000
/** When the first frame's first event happens. */
export const BENCH_START_MS = 1_795_000_000_000

/** What a client would send, without `v`, `frame` and `sentAt`: `"session":{…},"events":[…]`. */
export interface BenchFrame {
  readonly sessionId: string
  readonly contextJson: string
  readonly eventsJson: readonly string[]
  readonly sentAtMs: number
}

/** `count` frames of `eventsPerFrame` events; every session's seqs are dense. */
export function* benchFrames(count: number, eventsPerFrame: number): Generator<BenchFrame> {
  const nextSeq = new Int32Array(SESSIONS)
  for (let index = 0; index < count; index++) {
    const session = index % SESSIONS
    const round = Math.floor(index / SESSIONS)
    const atMs = BENCH_START_MS + round * eventsPerFrame * 1_000
    const eventsJson: string[] = []
    for (let n = 0; n < eventsPerFrame; n++) {
      const seq = nextSeq[session] ?? 0
      nextSeq[session] = seq + 1
      eventsJson.push(eventJson(seq, atMs + n * 1_000))
    }
    const sessionId = `bench-${session}`
    yield {
      sessionId,
      contextJson: contextJson(session, sessionId),
      eventsJson,
      sentAtMs: atMs + eventsPerFrame * 1_000,
    }
  }
}

function eventJson(seq: number, at: number): string {
  if (seq === 0) return JSON.stringify({ seq, type: 'playbackRequest', at })
  if (seq === 1) return JSON.stringify({ seq, type: 'playbackStart', at, playheadMs: 0 })
  if (seq === 2)
    return JSON.stringify({ seq, type: 'renditionUpdate', at, videoBitrateKbps: 4_500 })
  const bufferMs = 12_000 + (seq % 7) * 100
  return JSON.stringify({ seq, type: 'heartbeat', at, playheadMs: seq * 1_000, bufferMs })
}

function contextJson(session: number, sessionId: string): string {
  return JSON.stringify({
    sessionId,
    contentId: `content-${session % 200}`,
    streamType: 'vod',
    cdn: `cdn-${session % 3}`,
    device: { type: ['tv', 'phone', 'desktop', 'tablet'][session % 4] },
    player: { name: ['hls.js', 'shaka'][session % 2], version: `${session % 5}.0` },
    country: ['DE', 'FR', 'US'][session % 3],
  })
}
