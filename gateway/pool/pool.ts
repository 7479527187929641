/**
 * Several gateways behind one port, which the kernel shares out among them. The parent takes no
 * clients: it answers for all (ready only if all are, metrics merged), replaces processes that end,
 * and drains them one after another, so that never all clients have to reconnect at once.
 */
import { fork } from 'node:child_process'
import { AggregatorRegistry, type Registry } from 'prom-client'
import type { Clock } from '../../shared/runtime/clock.ts'
import type { Running } from '../../shared/runtime/lifecycle.ts'
import type { Random } from '../../shared/runtime/random.ts'
import { gatewayErrors } from '../errors.ts'
import { EndedCounts } from './counts.ts'
import { PoolMember } from './member.ts'
import type { PoolTelemetry } from './telemetry.ts'

export interface PoolOptions {
  readonly processes: number
  /** Module of a child and its arguments; `--port` and the port are added. */
  readonly module: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly port: number
  readonly drainGraceMs: number
  readonly registry: Registry
  readonly telemetry: PoolTelemetry
  readonly clock: Clock
  readonly random: Random
}

export class GatewayPool implements Running {
  readonly members: readonly PoolMember[]
  readonly #options: PoolOptions
  readonly #ended = new EndedCounts()
  #rolling: Promise<void> | undefined
  #isStopping = false

  constructor(options: PoolOptions) {
    const { processes, module, args, environment, port, telemetry: observer } = options
    this.#options = options
    this.members = Array.from(
      { length: processes },
      (_, index) =>
        new PoolMember({
          ...options,
          index,
          observer,
          counted: (last) => this.#ended.add(last),
          fork: () =>
            fork(module, [...args, '--port', `${port}`], {
              env: { ...environment },
              stdio: 'inherit',
            }),
        }),
    )
  }

  /** Resolves once all have said how they stand; throws `GATEWAY_PROCESS_FAILED` when one ends. */
  async start(): Promise<void> {
    for (const member of this.members) member.start()
    const started = await Promise.all(this.members.map((member) => member.hasStarted()))
    if (started.every(Boolean)) return
    await this.stop()
    throw gatewayErrors.create('GATEWAY_PROCESS_FAILED', {
      expected: `${this.members.length} processes to start`,
      received: `${started.filter(Boolean).length}`,
    })
  }

  /** Why no one should be sent here; `undefined` when every process is ready. */
  get unreadyCode(): string | undefined {
    if (this.#isStopping) return 'GATEWAY_DRAINING'
    return this.members.map((member) => member.unreadyCode).find((code) => code !== undefined)
  }

  /**
   * The metrics of all processes, merged as their kinds ask for, the counts of those that have ended,
   * and the parent's own.
   */
  async metrics(): Promise<string> {
    const { registry, telemetry } = this.#options
    telemetry.report(this.members)
    const own = await registry.getMetricsAsJSON()
    await Promise.all(this.members.map((member) => member.askMetrics()))
    // Read in one go: a process that ends meanwhile is either here or there, not both.
    const theirs = this.members.map((member) => member.lastMetrics)
    return await AggregatorRegistry.aggregate(
      [own, ...theirs, this.#ended.metrics].map((metrics) => [...metrics]),
    ).metrics()
  }

  /** Replaces every process, one after another; the next goes once the one before is ready again. */
  restart(): Promise<void> {
    this.#rolling ??= this.#roll().finally(() => {
      this.#rolling = undefined
    })
    return this.#rolling
  }

  /** New clients are turned away by all at once; then one process after another is drained. */
  async stop(): Promise<void> {
    this.#isStopping = true
    for (const member of this.members) member.turnAway()
    for (const member of this.members) await member.drain()
  }

  async #roll(): Promise<void> {
    for (const member of this.members) {
      if (this.#isStopping) return
      await member.drain()
      if (this.#isStopping) return
      member.start()
      await member.isReady()
    }
  }
}
