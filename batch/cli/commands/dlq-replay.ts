/** `dlq replay`: rejects once more, after a fix. */
import { acquireLease } from '../../../shared/objects/lease.ts'
import { type Command, EXIT } from '../command.ts'
import { type Outcome, type OutcomeKind, replayRejects } from '../dlq/replay.ts'
import { OUTCOMES_LISTED_MAX } from '../limits.ts'
import { REJECT_FILTER_OPTIONS, rejectFilterOf } from './reject-filter.ts'

/** Two replays at a time would not see what the other appends. */
const REPLAY_LEASE = 'leases/dlq-replay'

const FAILED: readonly OutcomeKind[] = ['kept', 'invalid', 'sealed', 'noContext']

export const dlqReplay: Command = {
  name: 'dlq replay',
  summary: 'append what is valid by now of what was refused',
  about: `Opens the sealed bytes of the rejects, validates them by the schema of this version, and appends
what is valid to playback.events, with the viewer as a pseudonym and the time of its first arrival. An
event alone takes the context of its session’s latest frame. What is in the log already is not
appended again. An event that was rejected under its seq, beside events of its frame that were accepted,
is kept as rejected and not appended: the seq counts as seen, in the live view and in the history. Exits
with 1 when some of the rejects asked for cannot be replayed; the result says why, for each.`,
  examples: [
    'dlq replay --dry-run',
    'dlq replay --code FRAME_VERSION_UNSUPPORTED --since 2026-03-01',
    'dlq replay --code PROCESSOR_RECORD_POISON --json',
  ],
  options: {
    ...REJECT_FILTER_OPTIONS,
    'dry-run': { doc: 'Append nothing; say what would be done.' },
  },
  positionals: [],
  async run({ stores, clock, progress, signal }, given) {
    const isDryRun = given.flag('dry-run')
    const filter = rejectFilterOf(given)
    const objects = await stores.objects()
    const durationMs = stores.settings.batch.leaseMs
    const { holder } = stores
    const lease = await acquireLease(objects, { name: REPLAY_LEASE, holder, durationMs, clock })
    try {
      const parts = {
        objects,
        isDryRun,
        log: await stores.log(isDryRun ? 'reader' : 'guest'),
        warehouse: await stores.warehouse(),
        sealer: stores.sealer(),
        pseudonymiser: stores.pseudonymiser(),
        assertMayGoOn: () => {
          lease.assertHeld()
          signal.throwIfAborted()
        },
        onProgress: (done: number) => progress.show(`${done} rejects`),
      }
      const tally = new Tally()
      for await (const outcome of replayRejects(parts, filter)) tally.add(outcome)
      return tally.result(isDryRun)
    } finally {
      await lease.release()
    }
  },
}

class Tally {
  readonly #counts: Record<OutcomeKind, number> = {
    replayed: 0,
    kept: 0,
    already: 0,
    erased: 0,
    invalid: 0,
    sealed: 0,
    noContext: 0,
  }
  /** Those kept as rejected, by the code they were rejected with. */
  readonly #kept: Record<string, number> = {}
  readonly #failed: Outcome[] = []
  #events = 0

  add(outcome: Outcome): void {
    this.#counts[outcome.outcome] += 1
    this.#events += outcome.events
    const { code } = outcome
    if (outcome.outcome === 'kept' && code !== undefined)
      this.#kept[code] = (this.#kept[code] ?? 0) + 1
    if (FAILED.includes(outcome.outcome) && this.#failed.length < OUTCOMES_LISTED_MAX)
      this.#failed.push(outcome)
  }

  result(isDryRun: boolean) {
    const counts = this.#counts
    const failures = FAILED.reduce((sum, kind) => sum + counts[kind], 0)
    const names = Object.entries(counts).filter(([, count]) => count > 0)
    return {
      exitCode: failures === 0 ? EXIT.done : EXIT.failed,
      json: {
        dryRun: isDryRun,
        events: this.#events,
        rejects: counts,
        keptByCode: this.#kept,
        failed: this.#failed,
      },
      text: [
        ...this.#failed.map(failureText),
        ...Object.entries(this.#kept).map(([code, n]) => `kept as rejected: ${n} ${code}`),
        names.length === 0 ? 'no rejects' : names.map(([name, n]) => `${n} ${name}`).join(', '),
        `${this.#events} events ${isDryRun ? 'would be ' : ''}appended`,
      ].join('\n'),
    }
  }
}

function failureText({ partition, offset, outcome, code, detail }: Outcome): string {
  const what = outcome === 'kept' ? 'kept as rejected' : outcome
  return `${partition}@${offset} ${what}: ${[code, detail].filter((part) => part !== undefined).join(' ')}`
}
