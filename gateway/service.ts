/**
 * A gateway as a process of its own: everything around `startGateway` that standalone does for all
 * roles. The log is opened here and nowhere else. It need not be there yet: until its topics answer,
 * the process lives, is unready, and asks again.
 */
import { createTokenVerifier } from '../shared/auth/token-verifier.ts'
import { createPseudonymiser, parseKeyring } from '../shared/events/identity.ts'
import { awaitTopics } from '../shared/log/await-topics.ts'
import type { KafkaConfig } from '../shared/log/kafka-config.ts'
import { openKafkaEventLog } from '../shared/log/kafka-event-log.ts'
import { createSealer } from '../shared/log/reject-record.ts'
import { topicSpecs } from '../shared/log/topics.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import { StopStack, type Running } from '../shared/runtime/lifecycle.ts'
import type { Random } from '../shared/runtime/random.ts'
import type { BackhaulConfig } from '../shared/runtime/settings.ts'
import type { TelemetryBase } from '../shared/runtime/telemetry.ts'
import { assertAuthenticated } from './auth.ts'
import { extraTopics, type GatewayConfig } from './config.ts'
import { gatewayErrors, type GatewayErrorCode } from './errors.ts'
import { startGateway, type RunningGateway } from './start.ts'

export interface ServiceOptions {
  readonly backhaul: BackhaulConfig
  readonly config: GatewayConfig
  readonly kafka: KafkaConfig
  readonly sharesPort: boolean
  readonly telemetry: TelemetryBase
  readonly clock: Clock
  readonly random: Random
  readonly failpoints: Failpoints
}

/** A gateway that may still wait for its log. */
export class GatewayService implements Running {
  readonly #options: ServiceOptions
  readonly #stack = new StopStack()
  readonly #stopping = new AbortController()
  #gateway: RunningGateway | undefined
  #isTurnedAway = false

  constructor(options: ServiceOptions) {
    this.#options = options
  }

  /** As of `RunningGateway`. */
  get unreadyCode(): GatewayErrorCode | undefined {
    if (this.#gateway !== undefined) return this.#gateway.unreadyCode
    return this.#isTurnedAway ? 'GATEWAY_DRAINING' : 'GATEWAY_LOG_UNAVAILABLE'
  }

  report(): void {
    this.#gateway?.report()
  }

  turnAway(): void {
    this.#isTurnedAway = true
    this.#gateway?.turnAway()
  }

  /**
   * Resolves once clients are served, or the service was stopped. Throws `GATEWAY_KEYS_REQUIRED`
   * and what `startGateway` throws, with what was started stopped again.
   */
  async start(): Promise<void> {
    try {
      await this.#startParts()
    } catch (error) {
      await this.#stack.stop()
      throw error
    }
  }

  async stop(): Promise<void> {
    this.turnAway()
    this.#stopping.abort()
    await this.#stack.stop()
  }

  async #startParts(): Promise<void> {
    const { backhaul, config, clock, random, telemetry, kafka, sharesPort, failpoints } =
      this.#options
    const keys = openKeys(backhaul)
    const verifier = openVerifier(backhaul, clock)
    assertAuthenticated(config.host, verifier)
    const log = await openKafkaEventLog({ config: kafka, clock, telemetry })
    this.#stack.add('event log', () => log.close())
    const { signal } = this.#stopping
    await awaitTopics(log, topicSpecs(backhaul, extraTopics(config)), { clock, signal, telemetry })
    if (signal.aborted) return
    const gateway = await startGateway({
      ...keys,
      config,
      log,
      telemetry,
      clock,
      random,
      verifier,
      failpoints,
      partitions: backhaul.partitions,
      ingestKeys: backhaul.authIngestKeys,
      sharesPort,
    })
    // Stopped meanwhile: nobody else knows of it.
    if (this.#isTurnedAway) return await gateway.stop()
    this.#gateway = gateway
    this.#stack.add('gateway', () => gateway.stop())
  }
}

/** Keys made on the spot would differ between gateways: pseudonyms of one viewer would too. */
export function openKeys({ pseudonymKeys, sealKey }: BackhaulConfig) {
  if (pseudonymKeys === '' || sealKey === '')
    throw gatewayErrors.create('GATEWAY_KEYS_REQUIRED', {
      expected: 'BACKHAUL_PSEUDONYM_KEYS and BACKHAUL_SEAL_KEY',
      received: pseudonymKeys === '' ? 'no BACKHAUL_PSEUDONYM_KEYS' : 'no BACKHAUL_SEAL_KEY',
    })
  return {
    pseudonymiser: createPseudonymiser(parseKeyring(pseudonymKeys)),
    sealer: createSealer(Buffer.from(sealKey, 'base64')),
  }
}

function openVerifier(backhaul: BackhaulConfig, clock: Clock) {
  return createTokenVerifier(
    {
      mode: backhaul.authMode,
      secret: backhaul.authSecret,
      jwksUrl: backhaul.authJwksUrl,
      issuer: backhaul.authIssuer,
      audience: backhaul.authAudience,
    },
    clock,
  )
}
