/**
 * Serving as a process of its own. What it reads need not be there yet: until a processor has begun a
 * view, and the log answers, it waits and says so once.
 */
import { createTokenVerifier } from '../shared/auth/token-verifier.ts'
import { contentSourceOf } from '../shared/content/content-source.ts'
import { createErasureReader } from '../shared/objects/erasures.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { paneLifeOf } from '../shared/qoe/fold.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { StopStack, type Running } from '../shared/runtime/lifecycle.ts'
import { readServedView } from '../shared/views/active-view.ts'
import { listViews, type ViewDescription } from '../shared/views/view-registry.ts'
import { readReconcileSummary } from '../shared/warehouse/reconcile-summary.ts'
import type { ServingConfig } from './config.ts'
import { VIEW_LOOK_MS } from './limits.ts'
import { startServing, type RunningServing } from './start.ts'
import { openObjects, openViewStores, type ServingStoresOptions } from './stores.ts'

export interface ServingServiceOptions extends Omit<ServingStoresOptions, 'config'> {
  readonly config: ServingConfig
  readonly stores: ServingStoresOptions['config']
}

export class ServingService implements Running {
  readonly #options: ServingServiceOptions
  readonly #stack = new StopStack()
  readonly #stopping = new AbortController()

  constructor(options: ServingServiceOptions) {
    this.#options = options
  }

  /**
   * Resolves once requests are answered, to where, or to `undefined` when it was stopped before. Throws
   * what `startServing` throws, with what was started stopped again.
   */
  async start(): Promise<RunningServing | undefined> {
    try {
      return await this.#startParts()
    } catch (error) {
      // Its stores are closed under it, so it fails: that is how it ends, and `stop` does the rest.
      if (this.#stopping.signal.aborted) return undefined
      await this.#stack.stop()
      throw error
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#stack.stop()
  }

  async #startParts(): Promise<RunningServing | undefined> {
    const { backhaul, config, stores: storesConfig, clock, telemetry } = this.#options
    const options = { ...this.#options, config: storesConfig }
    const objects = await openObjects(options, this.#stack)
    const active = await this.#awaitView(objects)
    if (active === undefined) return undefined
    const { warehouse, ...ports } = await openViewStores(options, objects, this.#stack)
    const source = contentSourceOf(backhaul, ports.log)
    const serving = await startServing({
      ...ports,
      config,
      telemetry,
      clock,
      verifier: createTokenVerifier(
        {
          mode: backhaul.authMode,
          secret: backhaul.authSecret,
          jwksUrl: backhaul.authJwksUrl,
          issuer: backhaul.authIssuer,
          audience: backhaul.authAudience,
        },
        clock,
      ),
      view: active.view,
      cuts: active.cuts,
      foldLimits: active.limits,
      historyPaneLifeMs: await longestPaneLife(objects),
      activeView: () => readServedView(objects),
      partitions: backhaul.partitions,
      ...(warehouse === undefined ? {} : { batch: { warehouse } }),
      ...(source === undefined
        ? {}
        : { content: { source, refreshMs: backhaul.contentRefreshMs } }),
      erasures: createErasureReader(objects, clock),
      readReconcile: () => readReconcileSummary(objects),
    })
    // Stopped meanwhile: nobody else knows of it.
    if (this.#stopping.signal.aborted) {
      await serving.stop()
      return undefined
    }
    this.#stack.add('serving', () => serving.stop())
    return serving
  }

  /** The view that processors have begun, with its cuts and limits. */
  async #awaitView(objects: ObjectStore): Promise<ViewDescription | undefined> {
    const { clock, telemetry } = this.#options
    const { signal } = this.#stopping
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const active = await readServedView(objects).catch((error: unknown) => {
        if (error instanceof BackhaulError && error.spec.retryable) return undefined
        throw error
      })
      if (active !== undefined) return active
      if (attempt === 0) telemetry.log.warn('no processor has begun a view yet, asking again')
      await clock.sleep(VIEW_LOOK_MS, signal)
    }
    return undefined
  }
}

/** A batch computes with the settings of some view: within this time its minutes may still change. */
async function longestPaneLife(objects: ObjectStore): Promise<number> {
  const views = await listViews(objects, { dropped: true })
  return Math.max(...views.map(({ limits }) => paneLifeOf(limits)))
}
