/** Proofs by loads on the gateway and a real broker, all on this machine. */
import { systemClock } from '../../shared/runtime/clock.ts'
import { parseLoadCommand, type LoadCommand } from '../load/command-line.ts'
import { figuresOf, keepReport, type LoadReport } from '../load/report.ts'
import { runLoad } from '../load/run-load.ts'
import { highestStep } from './ceiling.ts'
import { countClaims } from './count-claims.ts'
import type { Claim, Measured, Proof, ProofContext } from './proof.ts'

interface LoadProof {
  readonly name: string
  readonly shows: string
  readonly minutes: number
  /** Of `npm run loadtest`, without the minutes. */
  readonly args: readonly string[]
  claims(report: LoadReport): readonly Claim[]
}

/** Starting, waiting for what is left, and counting what is in Kafka. */
export const AROUND_MINUTES = 0.7
const SECOND_MS = 1_000
const MIB = 2 ** 20
/** Beside what the allocator keeps, nothing may grow while the log is away. */
const GROWTH_MAX_MIB = 64
/** After the broker went away queues fill up to their bounds; from then on memory stands still. */
const FILLING_MS = 20_000

const at = (frame: number) => ['--frame', `${frame}`]

export function p99(report: LoadReport, atMost: number): Claim {
  const measured = report.summary.ackP99Ms
  return { kind: 'floor', what: 'ack p99', measured, unit: 'ms', bound: { atMost } }
}

function cores(report: LoadReport, atMost: number): Claim {
  const measured = figuresOf(report).gatewayCores
  return { kind: 'floor', what: 'gateway', measured, unit: 'cores', bound: { atMost } }
}

function memory(report: LoadReport): Claim {
  const measured = figuresOf(report).gatewayMiB
  return {
    kind: 'floor',
    what: 'gateway memory, highest',
    measured,
    unit: 'MiB',
    bound: { atMost: 500e6 / MIB },
  }
}

function perCore(report: LoadReport, atLeast: number, aim: number): Claim {
  const measured = figuresOf(report).eventsPerCoreSecond
  const what = 'events a second and core of the gateway'
  return { kind: 'floor', what, measured, unit: 'events/s/core', bound: { atLeast }, aim }
}

export function held(report: LoadReport, eventsPerSecond: number): Claim {
  const measured = figuresOf(report).eventsPerSecond
  // The first second opens the connections; a rate is held when no more than that is missing.
  const bound = { atLeast: eventsPerSecond * 0.99 }
  return { kind: 'floor', what: 'acknowledged', measured, unit: 'events/s', bound }
}

function ceiling(frame: number, atLeast: number, aim: number): LoadProof {
  const eps = { 100: 800_000, 10: 350_000, 1: 80_000 }[frame] ?? 0
  const connections = frame === 1 ? 200 : 50
  // Frames of one event are more than k6 can send beside a gateway on the same two cores.
  const driver = frame === 1 ? ['--driver', 'sender'] : []
  return {
    name: `ceiling-${frame}`,
    shows: `the highest rate held, ${frame} ${frame === 1 ? 'event' : 'events'} a frame`,
    minutes: 1,
    args: [
      'ceiling',
      ...at(frame),
      '--eps',
      `${eps}`,
      '--connections',
      `${connections}`,
      ...driver,
    ],
    claims: (report) => {
      const step = highestStep(report)
      const { eventsPerSecond, eventsPerCoreSecond, ackP99Ms } = step
      const unit = 'events/s/core'
      return [
        { kind: 'told', what: 'highest rate held', measured: eventsPerSecond, unit: 'events/s' },
        { kind: 'told', what: 'ack p99 at that rate', measured: ackP99Ms, unit: 'ms' },
        {
          kind: 'floor',
          what: 'at that rate, a second and core of the gateway',
          measured: eventsPerCoreSecond,
          unit,
          bound: { atLeast },
          aim,
        },
      ]
    },
  }
}

/** 20,000 frames a second are a core of k6, and the gateway has what k6 and the broker leave it. */
function steadyOf10(name: string, shows: string, driver: readonly string[]): LoadProof {
  return {
    name,
    shows,
    minutes: 2,
    args: ['steady', ...at(10), ...driver],
    claims: (report) => [
      held(report, 200_000),
      p99(report, 200),
      perCore(report, 260_000, 500_000),
      memory(report),
    ],
  }
}

function connections(count: number): LoadProof {
  return {
    name: `connections-${count}`,
    shows: `200K/s over ${count.toLocaleString('en-US')} connections`,
    minutes: 0.5,
    args: ['steady', ...at(100), '--connections', `${count}`],
    claims: (report) => [held(report, 200_000), p99(report, 200), memory(report)],
  }
}

function client(name: string, frame: number, args: readonly string[]): LoadProof {
  const eps = frame === 100 ? 200_000 : 100_000
  return {
    name: `client-${name}-${frame}`,
    shows: `the gateway over ${name}, ${eps / 1_000}K/s at ${frame} events a frame`,
    minutes: 0.5,
    args: ['steady', ...at(frame), '--eps', `${eps}`, ...args],
    claims: (report) => {
      const { eventsPerCoreSecond, eventsPerSecond } = figuresOf(report)
      const { ackP99Ms } = report.summary
      const unit = 'events/s/core'
      return [
        { kind: 'told', what: 'acknowledged', measured: eventsPerSecond, unit: 'events/s' },
        { kind: 'told', what: 'ack p99', measured: ackP99Ms, unit: 'ms' },
        { kind: 'told', what: 'a second and core', measured: eventsPerCoreSecond, unit },
      ]
    },
  }
}

/** Memory of the gateway while the broker is away, and how soon all goes on. */
function outageClaims(report: LoadReport): readonly Claim[] {
  const { outage, seconds } = report
  if (outage === undefined) throw new Error('the broker was never away')
  const away = seconds.filter(({ atMs }) => atMs > outage.fromMs + FILLING_MS && atMs < outage.toMs)
  const bytes = away.map(({ gatewayBytes }) => gatewayBytes)
  const growth = Math.max(0, ...bytes) - (bytes[0] ?? 0)
  // Not the first after the last silence: an overloaded machine has silent seconds of its own.
  const resumed = seconds.find(({ atMs, acknowledged }) => atMs > outage.toMs && acknowledged > 0)
  if (resumed === undefined) throw new Error('nothing was acknowledged after the outage')
  const waited = Math.max(0, resumed.atMs - outage.toMs) / SECOND_MS
  const bound = { atMost: GROWTH_MAX_MIB }
  const what = 'gateway memory, growth while Kafka is down'
  return [
    { kind: 'floor', what, measured: Math.round(growth / MIB), unit: 'MiB', bound },
    memory(report),
    {
      kind: 'told',
      what: 'Kafka was down',
      measured: Math.round((outage.toMs - outage.fromMs) / SECOND_MS),
      unit: 's',
    },
    {
      kind: 'floor',
      what: 'acknowledgements again, after Kafka was back',
      measured: Math.round(waited * 10) / 10,
      unit: 's',
      bound: { atMost: 30 },
    },
  ]
}

const LOADS: readonly LoadProof[] = [
  {
    name: 'steady-100',
    shows: '200K/s at 100 events a frame',
    minutes: 5,
    args: ['steady', ...at(100)],
    claims: (report) => [
      held(report, 200_000),
      p99(report, 100),
      cores(report, 0.7),
      memory(report),
    ],
  },
  steadyOf10('steady-10', '200K/s at 10 events a frame', []),
  steadyOf10('steady-10-sender', '200K/s at 10 events a frame, sent by loadtest/sender', [
    '--driver',
    'sender',
  ]),
  ceiling(100, 500_000, 1_000_000),
  ceiling(10, 260_000, 500_000),
  ceiling(1, 60_000, 120_000),
  connections(1_000),
  connections(10_000),
  {
    name: 'kafka-down',
    shows: 'Kafka killed for 2 minutes under 200K/s; memory stays flat and all resumes alone',
    minutes: 4,
    args: ['kafka-down'],
    claims: outageClaims,
  },
  ...[100, 10].flatMap((frame) => [
    client('own-batches', frame, []),
    client('platformatic', frame, ['--variant', 'library-batches']),
    client('kafkajs', frame, ['--client', 'kafkajs']),
  ]),
]

export const loadProofs: readonly Proof[] = LOADS.map((proof) => ({
  name: proof.name,
  shows: proof.shows,
  minutes: proof.minutes + AROUND_MINUTES,
  run: (context) => runProof(proof, context),
}))

async function runProof(proof: LoadProof, context: ProofContext): Promise<Measured> {
  const minutes = Math.min(proof.minutes, context.minutesMax)
  const command = parseLoadCommand([...proof.args, '--minutes', `${minutes}`])
  const report = await runLoad(command, { said: context.said })
  return {
    claims: [...countClaims(report), ...proof.claims(report)],
    ...(command.name === 'ceiling' ? { held: highestStep(report) } : {}),
    ...keptLoad(command, report, context),
  }
}

/** Keeps report and charts; returns what a proof that is a load says of it beside its claims. */
export function keptLoad(
  command: LoadCommand,
  report: LoadReport,
  context: ProofContext,
): Pick<Measured, 'load' | 'details'> {
  const kept = keepReport(report, systemClock.nowMs(), context.folder)
  context.said(`charts in ${kept.at(-1)}`)
  const { summary, inKafka } = report
  return {
    load: {
      ...figuresOf(report),
      eventsPerSecondDue: command.options.eventsPerSecond,
      eventsPerFrame: command.options.eventsPerFrame,
      connections: command.options.connections,
      driver: command.driver,
      ackP50Ms: summary.ackP50Ms,
      ackP99Ms: summary.ackP99Ms,
    },
    details: { ...report.command, summary, inKafka },
  }
}
