import { systemClock } from '../../shared/runtime/clock.ts'
import { usageOf } from './process-usage.ts'
import type { MeasuredSecond } from './report.ts'

/** What gateway and broker used since the last look. */
export class Meter {
  readonly #gatewayPid: number
  readonly #broker: { readonly pid: number | undefined }
  #lastAtMs = systemClock.monotonicMs()
  #gatewayCpuMs: number
  #brokerPid: number | undefined
  #brokerCpuMs: number

  constructor(gatewayPid: number, broker: { readonly pid: number | undefined }) {
    this.#gatewayPid = gatewayPid
    this.#broker = broker
    this.#gatewayCpuMs = usageOf(gatewayPid).cpuMs
    this.#brokerPid = broker.pid
    this.#brokerCpuMs = cpuMsOf(broker.pid)
  }

  second(): Pick<MeasuredSecond, 'gatewayCores' | 'gatewayBytes' | 'brokerCores'> {
    const nowMs = systemClock.monotonicMs()
    const gateway = usageOf(this.#gatewayPid)
    const { pid } = this.#broker
    // A broker that was started again begins at nothing.
    if (pid !== this.#brokerPid) this.#brokerCpuMs = 0
    const brokerCpuMs = cpuMsOf(pid)
    const elapsedMs = Math.max(1, nowMs - this.#lastAtMs)
    const measured = {
      gatewayCores: (gateway.cpuMs - this.#gatewayCpuMs) / elapsedMs,
      gatewayBytes: gateway.residentBytes,
      brokerCores: (brokerCpuMs - this.#brokerCpuMs) / elapsedMs,
    }
    this.#lastAtMs = nowMs
    this.#gatewayCpuMs = gateway.cpuMs
    this.#brokerPid = pid
    this.#brokerCpuMs = brokerCpuMs
    return measured
  }
}

function cpuMsOf(pid: number | undefined): number {
  return pid === undefined ? 0 : usageOf(pid).cpuMs
}
