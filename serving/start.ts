/** Starts the serving API and the dashboard: built top to bottom, stopped in reverse. */
import { fileURLToPath } from 'node:url'
import type { HttpRequest } from 'uWebSockets.js'
import { isLoopback, type TokenVerifier } from '../shared/auth/token-verifier.ts'
import { GuardedResponse } from '../shared/http/guarded-response.ts'
import { createListenerApp, isTlsListener } from '../shared/http/listener-tls.ts'
import { ADDRESS_IN_USE, httpUrl, listenOrExplain, type Listening } from '../shared/http/listen.ts'
import type { ContentSource } from '../shared/content/content-source.ts'
import type { EventLog } from '../shared/log/event-log.ts'
import type { ErasureReader } from '../shared/objects/erasures.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import { paneLifeOf, type FoldLimits } from '../shared/qoe/fold.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { BackhaulError } from '../shared/runtime/errors.ts'
import { StopStack, type Running } from '../shared/runtime/lifecycle.ts'
import type { TelemetryBase } from '../shared/runtime/telemetry.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import type { BatchActivity } from '../shared/warehouse/batch-activity.ts'
import type { ReconcileSummary } from '../shared/warehouse/reconcile-summary.ts'
import type { WarehouseReader } from '../shared/warehouse/warehouse-reader.ts'
import { AlertFeed, type AlertFeedOptions } from './alert-feed.ts'
import { answerAlerts } from './alerts.ts'
import { createApi, type ApiRequest } from './api.ts'
import type { ServingConfig } from './config.ts'
import { ContentFeed } from './content-feed.ts'
import { createContentTelemetry } from './content-telemetry.ts'
import { servingErrors } from './errors.ts'
import { assertServingLimits, DEFAULT_SERVING_LIMITS, type ServingLimits } from './limits.ts'
import { History } from './history/history.ts'
import { createHistoryTelemetry } from './history/telemetry.ts'
import { LiveHub, type LiveHubOptions } from './live-hub.ts'
import { routeLive } from './live-socket.ts'
import { Observer, type ObserverOptions } from './observer.ts'
import { createPlaybackTelemetry } from './playback-telemetry.ts'
import { createQueries, type QueriesOptions } from './queries.ts'
import { ServedViews, type ServedViewsOptions, type ViewFacts } from './served-view.ts'
import { loadStaticFiles } from './static-files.ts'
import { createServingTelemetry } from './telemetry.ts'

export interface ServingOptions {
  readonly config: ServingConfig
  readonly log: EventLog
  readonly speed: SpeedStore
  readonly telemetry: TelemetryBase
  readonly clock: Clock
  readonly verifier: TokenVerifier
  /** View whose rows are served, until another one is active; its cuts and limits. */
  readonly view: string
  readonly cuts: readonly Cut[]
  readonly foldLimits: FoldLimits
  /** How long minutes of the history may still change; as of `foldLimits` when absent. */
  readonly historyPaneLifeMs?: number
  /** The active view; absent where it never changes. */
  readonly activeView?: () => Promise<ViewFacts | undefined>
  /** Partitions of `playback.events`. */
  readonly partitions: number
  /** Absent where no batch runs: then everything is answered from the speed store. */
  readonly batch?: {
    readonly warehouse: WarehouseReader
    /** Absent where something else schedules the runs. */
    readonly activity?: () => BatchActivity
    /** Calls `listener` after every run; otherwise a new run shows within `historyRefreshMs`. */
    readonly onRun?: (listener: () => void) => void
  }
  /** Content metadata; absent where there is none. */
  readonly content?: { readonly source: ContentSource; readonly refreshMs: number }
  /** Who is forgotten; absent where no viewer can be erased. */
  readonly erasures?: ErasureReader
  /** The verdict of the last comparison of live and history, where no other process tells it in metrics. */
  readonly readReconcile?: () => Promise<ReconcileSummary | undefined>
  /** Metrics of another process that shows here, in the text format. */
  readonly moreMetrics?: () => Promise<string>
  readonly limits?: Partial<ServingLimits>
}

export interface RunningServing extends Running {
  readonly url: string
  readonly port: number
}

/**
 * Throws `SERVING_AUTH_REQUIRED`, `CONFIG_INVALID` for files of TLS, and `SERVING_PORT_IN_USE` or `SERVING_ADDRESS_UNAVAILABLE` when the
 * address cannot be had.
 */
export async function startServing(options: ServingOptions): Promise<RunningServing> {
  const { config } = options
  refuseOpenAddress(options)
  const limits = limitsOf(options)
  const telemetry = createServingTelemetry(options.telemetry)
  const history = historyOf(options, limits)
  const content = contentOf(options, limits)
  const views = viewsOf(options, { limits, telemetry, history, content })
  const context = { ...options, limits, telemetry, served: () => views.current }
  const files = await loadStaticFiles(fileURLToPath(new URL('dashboard/', import.meta.url)))
  const app = createListenerApp('SERVING', config)
  await views.begin()
  const { hub, alertFeed } = liveOf(context)
  let stopping = false
  const queries = createQueries(context)
  const reportSizes = () => {
    const { reader, sessions } = views.current
    telemetry.sizesChanged({
      requestsInFlight: queries.inFlight,
      closedMinuteRows: reader.cachedRows,
      timelineCacheSessions: sessions.cachedTimelines,
      timelineCacheEvents: sessions.cachedEvents,
      liveConnections: hub.connections,
      liveChannels: hub.channels,
    })
    history?.reportSizes()
    content?.reportSizes()
  }
  const api = createApi({
    ...context,
    queries,
    files,
    corsOrigins: config.corsOrigins,
    isStopping: () => stopping,
    renderMetrics: () => renderMetrics(options, reportSizes),
  })
  routeLive(app, { ...context, hub, corsOrigins: config.corsOrigins })
  app.any('/*', (raw, request) => {
    const response = new GuardedResponse(raw)
    void api.handle(plainRequest(request)).then((answer) => response.answer(answer))
  })
  const stops = new StopStack()
  stops.add('history', () => history?.stop())
  content?.start()
  stops.add('content metadata', () => content?.stop())
  stops.add('look at the active view', () => views.stop())
  stops.add('look at playback', beginObserving(context, options))
  stops.add('connections', () => void app.close())
  stops.add('requests', () => api.settle(STOP_GRACE_MS))
  stops.add('alert feed', () => alertFeed.stop())
  stops.add('live hub', () => hub.stop())
  let listening: Listening
  try {
    listening = await listenOrExplain(app, config, (code) => addressRefused(config, code))
  } catch (error) {
    await stops.stop()
    throw error
  }
  stops.add('listening', () => listening.close())
  const url = httpUrl(config.host, listening.port, isTlsListener(config))
  telemetry.listening({ url })
  return {
    url,
    port: listening.port,
    stop() {
      stopping = true
      return stops.stop()
    },
  }
}

/** Returns what ends it. */
function beginObserving(
  context: Omit<ObserverOptions, 'telemetry'>,
  { telemetry }: ServingOptions,
): () => Promise<void> {
  const observer = new Observer({ ...context, telemetry: createPlaybackTelemetry(telemetry) })
  observer.start()
  return () => observer.stop()
}

function liveOf(
  context: Omit<LiveHubOptions, 'beginAlerts' | 'readAlerts' | 'served'> &
    AlertFeedOptions &
    Pick<QueriesOptions, 'served'>,
) {
  const alertFeed = new AlertFeed(context)
  const hub = new LiveHub({
    ...context,
    beginAlerts: (onAlert) => alertFeed.begin(onAlert),
    readAlerts: () => answerAlerts(context.served()),
  })
  return { hub, alertFeed }
}

function refuseOpenAddress({ config, verifier }: ServingOptions): void {
  if (verifier.required || isLoopback(config.host)) return
  throw servingErrors.create('SERVING_AUTH_REQUIRED', {
    expected: 'SERVING_HOST to be a loopback address with BACKHAUL_AUTH_MODE=none',
    received: config.host,
  })
}

function limitsOf({ config, limits: given }: ServingOptions): ServingLimits {
  const limits: ServingLimits = {
    ...DEFAULT_SERVING_LIMITS,
    rangeMaxMs: config.rangeMaxMs,
    rowsPerQueryMax: config.rowsPerQueryMax,
    liveConnectionsMax: config.liveConnectionsMax,
    ...given,
  }
  assertServingLimits(limits)
  return limits
}

/** How long requests under way may take when the server stops. */
const STOP_GRACE_MS = 2_000

function addressRefused({ host, port }: ServingConfig, systemCode: string): BackhaulError {
  if (systemCode === ADDRESS_IN_USE)
    return servingErrors.create('SERVING_PORT_IN_USE', {
      expected: 'SERVING_HOST and SERVING_PORT to name a free address',
      received: `${host} and ${port}`,
    })
  return servingErrors.create('SERVING_ADDRESS_UNAVAILABLE', {
    expected: 'SERVING_HOST and SERVING_PORT to name an address of this machine',
    received: `${host} and ${port}, ${systemCode}`,
  })
}

async function renderMetrics(options: ServingOptions, reportSizes: () => void): Promise<string> {
  reportSizes()
  const more = await options.moreMetrics?.()
  const own = await options.telemetry.registry.metrics()
  return more === undefined ? own : `${own}\n${more}`
}

function viewsOf(
  options: ServingOptions,
  parts: Pick<ServedViewsOptions, 'limits' | 'telemetry' | 'history' | 'content'>,
): ServedViews {
  const { view, cuts, foldLimits: limits, activeView: readActive } = options
  const batchActivity = options.batch?.activity
  return new ServedViews({
    ...options,
    ...parts,
    batchActivity,
    initial: { view, cuts, limits },
    readActive,
  })
}

/** Its boundary is that of the view that the batch computes with, whichever is served. */
function historyOf(
  { batch, partitions, clock, telemetry, foldLimits, historyPaneLifeMs }: ServingOptions,
  limits: ServingLimits,
): History | undefined {
  if (batch === undefined) return undefined
  const history = new History({
    warehouse: batch.warehouse,
    partitions,
    paneLifeMs: historyPaneLifeMs ?? paneLifeOf(foldLimits),
    limits,
    clock,
    telemetry: createHistoryTelemetry(telemetry),
  })
  batch.onRun?.(() => history.runEnded())
  return history
}

function contentOf(
  { content: options, clock, telemetry }: ServingOptions,
  limits: ServingLimits,
): ContentFeed | undefined {
  if (options === undefined) return undefined
  const contentTelemetry = createContentTelemetry(telemetry)
  return new ContentFeed({ ...options, clock, limits, telemetry: contentTelemetry })
}

/** A uWebSockets.js request is only readable inside its handler. */
function plainRequest(request: HttpRequest): ApiRequest {
  return {
    method: request.getMethod(),
    path: request.getUrl(),
    // Without a question mark there is no query, whatever the package's types say.
    query: (request.getQuery() as string | undefined) ?? '',
    authorization: request.getHeader('authorization'),
    origin: request.getHeader('origin'),
    ifNoneMatch: request.getHeader('if-none-match'),
    acceptEncoding: request.getHeader('accept-encoding'),
  }
}
