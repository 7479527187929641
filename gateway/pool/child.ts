/** A gateway as one of several processes: told what to do by its parent, it says how it stands. */
import type { Registry } from 'prom-client'
import type { Clock } from '../../shared/runtime/clock.ts'
import { POOL_STANDING_MS, POOL_TELL_MS } from '../limits.ts'
import type { RunningGateway } from '../start.ts'
import type { ChildMessage, Metrics, ParentMessage } from './messages.ts'

/** The channel to the parent, as `process` has it. */
export interface ParentChannel {
  send?(message: ChildMessage, handle?: undefined, options?: object, sent?: () => void): unknown
  on(event: 'message', listener: (message: ParentMessage) => void): unknown
  on(event: 'disconnect', listener: () => void): unknown
}

export interface ChildOptions {
  readonly channel: ParentChannel
  readonly gateway: Pick<RunningGateway, 'unreadyCode' | 'report' | 'turnAway' | 'stop'>
  readonly registry: Registry
  readonly clock: Clock
  /** Called once everything is drained and closed. */
  readonly stopped: (error?: unknown) => void
}

/** Serves the parent until it asks for the drain, or is gone. */
export function servePool({ channel, gateway, registry, clock, stopped }: ChildOptions): void {
  let told: string | undefined = 'nothing yet'
  const tellStanding = () => {
    const { unreadyCode } = gateway
    if (unreadyCode === told) return
    told = unreadyCode
    channel.send?.({ kind: 'standing', ...(unreadyCode === undefined ? {} : { unreadyCode }) })
  }
  const cancels = [
    clock.every(POOL_STANDING_MS, tellStanding),
    clock.every(POOL_TELL_MS, () => void tellMetrics()),
  ]
  let stopping = false
  const stop = () => {
    if (stopping) return
    stopping = true
    for (const cancel of cancels) cancel()
    stopAndTell().then(() => stopped(), stopped)
  }
  channel.on('message', (message) => {
    if (message.kind === 'drain') stop()
    else if (message.kind === 'turnAway') gateway.turnAway()
    else void tellMetrics(message.request)
  })
  // Without a parent nobody would ever stop this process.
  channel.on('disconnect', stop)
  tellStanding()

  async function stopAndTell(): Promise<void> {
    try {
      await gateway.stop()
    } finally {
      await tellMetrics()
    }
  }

  /** Resolves once the parent's channel has it, or is gone. */
  async function tellMetrics(request?: number): Promise<void> {
    gateway.report()
    const metrics: Metrics = await registry.getMetricsAsJSON()
    const asked = request === undefined ? {} : { request }
    await new Promise<void>((sent) => {
      if (channel.send === undefined) sent()
      else channel.send({ kind: 'metrics', ...asked, metrics }, undefined, {}, () => sent())
    })
  }
}
