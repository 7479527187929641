/**
 * Erasure records: which viewers and sessions are forgotten. They are objects that are created once
 * and never changed, so a reader keeps what it has read and only looks for new ones:
 *
 *   erasures/<viewer>/<round>-record.json   pseudonyms and the moment of the request; written first
 *   erasures/<viewer>/<round>-plan.json     the sessions that were found, and where
 *   erasures/<viewer>/<round>-proof.json    what was done (not read here)
 *
 * A pseudonym is forgotten up to the moment of the request: what the same viewer does later is new.
 * A session is forgotten for good.
 */
import { z } from 'zod'
import { defineErrors } from '../runtime/errors.ts'
import type { Clock } from '../runtime/clock.ts'
import type { ObjectStore } from './object-store.ts'

export const erasureErrors = defineErrors({
  ERASURE_RECORD_INVALID: {
    rule: 'an erasure record must be one that this program can read',
    retryable: false,
    action:
      'Run the version of the program that wrote the object named in the message, or restore it from a copy. Until then nothing is served or loaded that it may forbid.',
  },
  ERASURES_TOO_MANY: {
    rule: 'erasure records must fit within the bound that is read',
    retryable: false,
    action:
      'Delete records that are older than the retention of the log: what they forbid is nowhere any more.',
  },
})

/** Objects under `erasures/` that are read. */
export const ERASURE_OBJECTS_MAX = 300_000
const LIST_PAGE = 1_000
/** How long a reader goes by what it knows, ms. */
export const ERASURES_REFRESH_MS = 2_000

const PREFIX = 'erasures/'
const READ = /-(record|plan)\.json$/

const erasureSchema = z.object({
  erasedAtMs: z.int(),
  pseudonyms: z.array(z.string()).default([]),
  sessions: z.array(z.string()).default([]),
})
type Erasure = z.infer<typeof erasureSchema>

/** What is known of a record, a frame or a session that may be forgotten. */
export interface Erasable {
  readonly sessionId?: string | undefined
  readonly viewerPseudonym?: string | undefined
  /** When it came, epoch ms. */
  readonly atMs: number
}

/** What is forgotten, as of one look. */
export class Erasures {
  readonly #erasedAtMs = new Map<string, number>()
  readonly #sessions = new Set<string>()
  #lastErasedAtMs = Number.NEGATIVE_INFINITY

  constructor(erasures: Iterable<Erasure> = []) {
    for (const { erasedAtMs, pseudonyms, sessions } of erasures) {
      for (const pseudonym of pseudonyms)
        this.#erasedAtMs.set(
          pseudonym,
          Math.max(erasedAtMs, this.#erasedAtMs.get(pseudonym) ?? erasedAtMs),
        )
      for (const session of sessions) this.#sessions.add(session)
      this.#lastErasedAtMs = Math.max(this.#lastErasedAtMs, erasedAtMs)
    }
  }

  /** Whether a pseudonym matters for what came then: later than all requests, none does. */
  mayCoverViewersAt(atMs: number): boolean {
    return atMs <= this.#lastErasedAtMs
  }

  covers({ sessionId, viewerPseudonym, atMs }: Erasable): boolean {
    if (sessionId !== undefined && this.#sessions.has(sessionId)) return true
    if (viewerPseudonym === undefined) return false
    const erasedAtMs = this.#erasedAtMs.get(viewerPseudonym)
    return erasedAtMs !== undefined && atMs <= erasedAtMs
  }
}

export const NOTHING_ERASED = new Erasures()

/** Names of the records and plans there are, ascending. */
export async function listErasures(objects: ObjectStore): Promise<string[]> {
  const names: string[] = []
  for (let startAfter: string | undefined; ;) {
    const page = await objects.list(PREFIX, {
      limit: LIST_PAGE,
      ...(startAfter === undefined ? {} : { startAfter }),
    })
    names.push(...page.map(({ name }) => name).filter((name) => READ.test(name)))
    if (names.length > ERASURE_OBJECTS_MAX)
      throw erasureErrors.create('ERASURES_TOO_MANY', {
        expected: `at most ${ERASURE_OBJECTS_MAX} objects`,
        received: `${names.length}`,
      })
    startAfter = page.at(-1)?.name
    if (page.length < LIST_PAGE) return names
  }
}

/** What the objects of these names forget. */
export async function readErasures(
  objects: ObjectStore,
  names: readonly string[],
): Promise<Erasures> {
  const read: Erasure[] = []
  for (const name of names) read.push(await readErasure(objects, name))
  return new Erasures(read)
}

async function readErasure(objects: ObjectStore, name: string): Promise<Erasure> {
  const stored = await objects.read(name)
  try {
    return erasureSchema.parse(JSON.parse(Buffer.from(stored?.bytes ?? []).toString()))
  } catch (cause) {
    throw erasureErrors.create('ERASURE_RECORD_INVALID', {
      expected: name,
      received: stored === undefined ? 'nothing' : 'an object of another shape',
      cause,
    })
  }
}

export interface ErasureReader {
  /** What is forgotten, at most `ERASURES_REFRESH_MS` ago. */
  current(): Promise<Erasures>
}

/** A reader that keeps what it has read. */
export function createErasureReader(objects: ObjectStore, clock: Clock): ErasureReader {
  const known = new Map<string, Erasure>()
  let erasures = NOTHING_ERASED
  let lookedAtMs = Number.NEGATIVE_INFINITY
  let looking: Promise<Erasures> | undefined

  async function look(): Promise<Erasures> {
    const fresh = (await listErasures(objects)).filter((name) => !known.has(name))
    for (const name of fresh) known.set(name, await readErasure(objects, name))
    if (fresh.length > 0) erasures = new Erasures(known.values())
    lookedAtMs = clock.monotonicMs()
    return erasures
  }

  return {
    async current() {
      if (clock.monotonicMs() - lookedAtMs < ERASURES_REFRESH_MS) return erasures
      looking ??= look().finally(() => (looking = undefined))
      return looking
    },
  }
}
