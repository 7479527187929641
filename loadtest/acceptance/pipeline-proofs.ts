/** The whole pipeline on this machine: k6, gateway, Kafka, processor, Cassandra. */
import { parseLoadCommand } from '../load/command-line.ts'
import { figuresOf, timed, type LoadReport } from '../load/report.ts'
import { runLoad } from '../load/run-load.ts'
import { Pipeline } from '../pipeline/pipeline.ts'
import { WATCHED_CUTS } from '../pipeline/row-reader.ts'
import { highestStep, type Span } from './ceiling.ts'
import { countClaims } from './count-claims.ts'
import { AROUND_MINUTES, held, keptLoad, p99 } from './load-proofs.ts'
import type { Claim, Measured, Proof, ProofContext } from './proof.ts'

interface PipelineProof {
  readonly name: string
  readonly shows: string
  readonly minutes: number
  /** Of `npm run loadtest`, without the minutes. */
  readonly args: readonly string[]
  claims(load: PipelineLoad): readonly Claim[]
}

interface PipelineLoad {
  readonly report: LoadReport
  readonly pipeline: Pipeline
}

/** Cassandra and the processor start, and what is left is worked off. */
const PIPELINE_AROUND_MINUTES = AROUND_MINUTES + 1.3
const FRESH_P99_MS = 1_500
const FRESH_P99_OF_CEILING_MS = 5_000
/** The first seconds open connections and compile what runs: of a short load a quarter. */
const WARM_UP_MS = 15_000
const WARM_UP_SHARE = 1 / 4
const MIB = 2 ** 20

const PROOFS: readonly PipelineProof[] = [
  {
    name: 'pipeline-50',
    shows: 'k6, gateway, Kafka, processor and Cassandra at 50K/s',
    minutes: 5,
    args: ['steady', '--eps', '50000'],
    claims: (load) => [
      held(load.report, 50_000),
      p99(load.report, 100),
      ...freshClaims(load, { kind: 'floor', bound: { atMost: FRESH_P99_MS } }),
    ],
  },
  {
    name: 'pipeline-100',
    shows: 'k6, gateway, Kafka, processor and Cassandra at 100K/s',
    minutes: 3,
    args: ['steady', '--eps', '100000'],
    claims: (load) => [
      held(load.report, 100_000),
      { kind: 'told', what: 'ack p99', measured: load.report.summary.ackP99Ms, unit: 'ms' },
      ...freshClaims(load, { kind: 'told' }),
    ],
  },
  {
    name: 'pipeline-ceiling',
    shows: 'the highest rate that the whole pipeline holds',
    minutes: 3,
    args: ['ceiling', '--eps', '250000'],
    claims: (load) => ceilingClaims(load),
  },
]

export const pipelineProofs: readonly Proof[] = PROOFS.map((proof) => ({
  name: proof.name,
  shows: proof.shows,
  minutes: proof.minutes + PIPELINE_AROUND_MINUTES,
  run: (context) => runProof(proof, context),
}))

async function runProof(proof: PipelineProof, context: ProofContext): Promise<Measured> {
  const minutes = Math.min(proof.minutes, context.minutesMax)
  const command = parseLoadCommand([...proof.args, '--minutes', `${minutes}`])
  let started: Pipeline | undefined
  const report = await runLoad(command, {
    said: context.said,
    async downstream(brokers) {
      context.said('starting Cassandra and the processor')
      started = await Pipeline.start({ brokers, partitions: command.partitions })
      return started
    },
  })
  if (started === undefined) throw new Error('there was no pipeline')
  const load = { report, pipeline: started }
  return {
    claims: [...countClaims(report), rowsClaim(load), ...proof.claims(load), ...useClaims(load)],
    ...keptLoad(command, report, context),
  }
}

/** What the rows count is what an independent reader finds in Kafka. */
function rowsClaim({ report, pipeline }: PipelineLoad): Claim {
  const { distinctEvents, foreignEvents } = report.inKafka
  const measured = Math.abs(distinctEvents + foreignEvents - pipeline.eventsInRows)
  const what = 'in Kafka and not in the rows, or too many there'
  return { kind: 'correctness', what, measured, unit: 'events', bound: { atMost: 0 } }
}

function freshClaims(
  { report, pipeline }: PipelineLoad,
  judged: Pick<Claim, 'kind' | 'bound'>,
): Claim[] {
  const { fromMs, toMs } = spanOf(report)
  const warmUpMs = Math.min(WARM_UP_MS, (toMs - fromMs) * WARM_UP_SHARE)
  return WATCHED_CUTS.flatMap((cut): Claim[] => {
    const { p50Ms, p99Ms } = pipeline.reader.cuts[cut].between(fromMs + warmUpMs, toMs)
    const what = `from the append to the row of ${cut}`
    return [
      { kind: 'told', what: `${what}, p50`, measured: p50Ms, unit: 'ms' },
      { ...judged, what: `${what}, p99`, measured: p99Ms, unit: 'ms' },
    ]
  })
}

function ceilingClaims({ report, pipeline }: PipelineLoad): Claim[] {
  const freshMs = ({ fromMs, toMs }: Span) =>
    Math.max(...WATCHED_CUTS.map((cut) => pipeline.reader.cuts[cut].between(fromMs, toMs).p99Ms))
  const isFresh = (span: Span) => freshMs(span) <= FRESH_P99_OF_CEILING_MS
  const { eventsPerSecond, ackP99Ms, span } = highestStep(report, isFresh)
  return [
    {
      kind: 'floor',
      what: `highest rate held with rows of ${FRESH_P99_OF_CEILING_MS / 1_000} s at most`,
      measured: eventsPerSecond,
      unit: 'events/s',
      bound: { atLeast: 100_000 },
      aim: 200_000,
    },
    { kind: 'told', what: 'ack p99 at that rate', measured: ackP99Ms, unit: 'ms' },
    {
      kind: 'told',
      what: 'from the append to the row at that rate, p99',
      measured: span === undefined ? 0 : freshMs(span),
      unit: 'ms',
    },
  ]
}

function useClaims({ report, pipeline }: PipelineLoad): Claim[] {
  const told = (what: string, measured: number, unit: string): Claim => {
    return { kind: 'told', what, measured, unit }
  }
  const { use, reader } = pipeline
  const perCpuSecond = report.summary.eventsSent / Math.max(0.01, use.processorCpuSeconds)
  return [
    told('gateway', figuresOf(report).gatewayCores, 'cores'),
    told('broker', figuresOf(report).brokerCores, 'cores'),
    told('processor', use.processorCores, 'cores'),
    told('Cassandra', use.cassandraCores, 'cores'),
    told('events a row', report.summary.eventsSent / Math.max(1, use.rows), 'events'),
    told('events a CPU second of the processor', Math.round(perCpuSecond), 'events/s/core'),
    told('processor memory, highest', Math.round(use.processorHighestBytes / MIB), 'MiB'),
    told('looks at the rows that the store did not answer', reader.failedLooks, ''),
  ]
}

/** From the load's first second to the last in which something fell due. */
function spanOf({ seconds }: LoadReport): Span {
  const busy = timed(seconds).filter(({ events }) => events > 0)
  return { fromMs: (busy[0]?.atMs ?? 0) - 1_000, toMs: busy.at(-1)?.atMs ?? 0 }
}
