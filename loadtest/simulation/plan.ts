/**
 * What a seed does to a run. Of the kinds of faults each seed has a few, some of them often: a run
 * with everything at once would never get deep into anything.
 */
import type { Random } from '../../shared/runtime/random.ts'
import { ALERTS_INPUT_MIN_MS } from './alerts.ts'
import { NO_FAULTS, type FaultRates, type PortName } from './wire.ts'

export interface Plan {
  readonly partitions: number
  readonly slots: number
  readonly recordsPerPartition: number
  readonly inputMs: number
  readonly rates: Readonly<Record<PortName, FaultRates>>
  readonly slowMaxMs: number
  readonly deadlyFailpoints: number
  /** What befalls the processes, each at its time after the beginning. */
  readonly events: readonly PlannedEvent[]
  /** A range of the log that is lost while nobody reads, or another topic that takes its name while all do. */
  readonly logLoss: 'beginning' | 'end' | 'topic' | undefined
  readonly settings: Readonly<Record<string, string>>
  /** Alert rules are judged, which takes a run that is longer than a minute. */
  readonly hasAlerts: boolean
}

export type PlannedEvent = { readonly atMs: number } & (
  | { readonly do: 'kill' | 'stop'; readonly slot: number }
  | { readonly do: 'freeze'; readonly slot: number; readonly forMs: number }
  | { readonly do: 'outage'; readonly port: PortName; readonly forMs: number }
  | { readonly do: 'damage'; readonly partition: number; readonly what: Damage }
)

/** The newest checkpoint, all of them, or everything that tells of the partition's owners. */
export type Damage = 'newest' | 'all' | 'objects'

const ALERTS_EVERY_SEEDS = 20
const PORTS: readonly PortName[] = ['log', 'speed', 'objects', 'group']
const TRAITS = ['calls', 'deaths', 'kills', 'freezes', 'stops', 'outages', 'damage'] as const
type Trait = (typeof TRAITS)[number]

export function planOf(seed: number, random: Random): Plan {
  const hasAlerts = seed % ALERTS_EVERY_SEEDS === ALERTS_EVERY_SEEDS - 1
  const partitions = 1 + random.below(2)
  const slots = 1 + random.below(3)
  const inputMs = (hasAlerts ? ALERTS_INPUT_MIN_MS : 15_000) + random.below(35_000)
  const traits = new Set(TRAITS.filter(() => random.below(5) < 2))
  return {
    partitions,
    slots,
    inputMs,
    recordsPerPartition: 20 + random.below(30),
    rates: ratesOf(random, traits),
    slowMaxMs: 500 + random.below(15_000),
    deadlyFailpoints: traits.has('deaths') ? 0.01 + 0.03 * random.next() : 0,
    events: eventsOf(random, traits, { partitions, slots, inputMs }),
    logLoss: logLossOf(random, traits),
    settings: settingsOf(random),
    hasAlerts,
  }
}

/** Where checkpoints are damaged, a partition may be built anew instead of standing still. */
function logLossOf(random: Random, traits: ReadonlySet<Trait>): Plan['logLoss'] {
  if (random.below(10) > 0 || traits.has('damage')) return undefined
  return (['end', 'topic', 'beginning'] as const)[random.below(3)]
}

function ratesOf(random: Random, traits: ReadonlySet<Trait>): Plan['rates'] {
  const rates = () => {
    const share = (max: number) => (random.below(2) === 0 ? random.next() * max : 0)
    const calls = traits.has('calls') && random.below(2) === 0
    return {
      ...NO_FAULTS,
      ...(calls && {
        refused: share(0.2),
        partial: share(0.2),
        unanswered: share(0.2),
        slow: share(0.05),
      }),
      fatal: traits.has('deaths') ? share(0.01) : 0,
    }
  }
  return { log: rates(), speed: rates(), objects: rates(), group: rates() }
}

function eventsOf(
  random: Random,
  traits: ReadonlySet<Trait>,
  { partitions, slots, inputMs }: { partitions: number; slots: number; inputMs: number },
): PlannedEvent[] {
  const some = (trait: Trait, make: (atMs: number) => PlannedEvent) =>
    Array.from({ length: traits.has(trait) ? 1 + random.below(4) : 0 }, () =>
      make(random.below(inputMs)),
    )
  const slot = () => random.below(slots)
  return [
    ...some('kills', (atMs) => ({ atMs, do: 'kill', slot: slot() })),
    ...some('stops', (atMs) => ({ atMs, do: 'stop', slot: slot() })),
    // Shorter and longer than the group waits.
    ...some('freezes', (atMs) => {
      return { atMs, do: 'freeze', slot: slot(), forMs: 500 + random.below(14_000) }
    }),
    ...some('outages', (atMs) => {
      const port = PORTS[random.below(PORTS.length)] ?? 'log'
      return { atMs, do: 'outage', port, forMs: 500 + random.below(15_000) }
    }),
    ...some('damage', (atMs) => {
      const what = (['newest', 'newest', 'all', 'objects'] as const)[random.below(4)] ?? 'newest'
      return { atMs, do: 'damage', partition: random.below(partitions), what }
    }),
  ]
}

/** Small bounds, so that a short run reaches them. */
function settingsOf(random: Random): Plan['settings'] {
  const pick = (...values: readonly number[]) => String(values[random.below(values.length)])
  return {
    PROCESSOR_NARROW_FLUSH_MS: pick(250, 500, 1_000),
    PROCESSOR_WIDE_FLUSH_MS: pick(1_000, 3_000),
    PROCESSOR_SESSION_ROW_INTERVAL_MS: pick(500, 2_000),
    PROCESSOR_CHECKPOINT_INTERVAL_MS: pick(1_000, 3_000, 8_000),
    PROCESSOR_TICK_IDLE_MS: pick(4_000, 6_000),
    PROCESSOR_FETCH_WAIT_MS: pick(1_000, 2_000),
    PROCESSOR_FETCH_RECORDS_MAX: pick(1, 3, 100),
    PROCESSOR_TURN_RECORDS_MAX: pick(1, 2, 256),
    PROCESSOR_SNAPSHOT_SLICE_ENTRIES_MAX: pick(2, 16, 128),
    PROCESSOR_ROWS_PER_WRITE_MAX: pick(2, 10, 100),
    PROCESSOR_WRITES_IN_FLIGHT_MAX: pick(1, 2, 4),
    PROCESSOR_DIRTY_ROWS_MAX: pick(8, 60, 10_000),
    PROCESSOR_WRITE_STALL_MS: pick(1_000, 10_000),
    PROCESSOR_OUTPUTS_PER_APPEND_MAX: pick(1, 4),
    PROCESSOR_OUTPUTS_PENDING_MAX: pick(4, 1_000),
    PROCESSOR_RETRY_DELAY_MS: '100',
    PROCESSOR_RETRY_DELAY_MAX_MS: '1000',
    PROCESSOR_STOP_GRACE_MS: '2000',
  }
}
