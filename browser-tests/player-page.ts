/**
 * The page under test: a video element, hls.js in CMCD v2 event mode, and a stopwatch on the
 * element's own events that knows nothing of CMCD.
 */
export interface PlayerPage {
  readonly sessionId: string
  readonly contentId: string
  /** Where the player posts its CMCD events. */
  readonly cmcdUrl: string
}

/** What the page measured on the video element, ms. */
export interface Measured {
  readonly startupMs: number
  readonly stallsMs: readonly number[]
  readonly ended: boolean
}

export function playerPage({ sessionId, contentId, cmcdUrl }: PlayerPage): string {
  return `<!doctype html>
<meta charset="utf-8">
<title>player</title>
<video id="video" muted playsinline width="320" height="180"></video>
<script src="/hls.js"></script>
<script>
  const video = document.getElementById('video')
  const measured = { startupMs: undefined, stallsMs: [], ended: false }
  window.measured = measured
  let requestedAt, stalledAt
  video.addEventListener('play', () => { requestedAt ??= performance.now() })
  video.addEventListener('waiting', () => {
    if (measured.startupMs === undefined) return
    stalledAt ??= performance.now()
    fetch('/stalled')
  })
  video.addEventListener('playing', () => {
    if (measured.startupMs === undefined) measured.startupMs = performance.now() - requestedAt
    if (stalledAt !== undefined) measured.stallsMs.push(performance.now() - stalledAt)
    stalledAt = undefined
  })
  video.addEventListener('ended', () => { measured.ended = true })
  const hls = new Hls({
    maxBufferLength: 4,
    maxMaxBufferLength: 4,
    fragLoadPolicy: { default: {
      maxTimeToFirstByteMs: 60000, maxLoadTimeMs: 60000, timeoutRetry: null, errorRetry: null,
    } },
    cmcd: {
      version: 2,
      sessionId: ${JSON.stringify(sessionId)},
      contentId: ${JSON.stringify(contentId)},
      eventTargets: [{
        url: ${JSON.stringify(cmcdUrl)},
        events: ['ps', 't', 'e', 'bc', 'pr'],
        interval: 5,
        batchSize: 1,
      }],
    },
  })
  hls.loadSource('/master.m3u8')
  hls.attachMedia(video)
  hls.on(Hls.Events.MANIFEST_PARSED, () => video.play())
</script>`
}
