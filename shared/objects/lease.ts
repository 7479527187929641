/**
 * A lease on the object store: one holder at a time, by generation preconditions, until a time by
 * the holder's clock. It keeps two runs from doing the same work at once; nothing may depend on it
 * for being right, because a holder that sleeps past its time does not know it until it looks.
 *
 * The object is `{"holder":…,"untilMs":…,"durationMs":…}`. A lease that is past its time is anybody's;
 * one that was released does not exist. The holder's clock may have been hours ahead, so whoever asks
 * again and again has a `LeaseWatch`: a lease that nobody renewed for as long as it lasts is free too.
 * Whoever asks once watches it for as long where the time that it names shows such a clock.
 */
import { z } from 'zod'
import type { Clock } from '../runtime/clock.ts'
import { BackhaulError, describeValue } from '../runtime/errors.ts'
import { objectErrors } from './object-errors.ts'
import type { ObjectStore, StoredObject } from './object-store.ts'

export interface LeaseOptions {
  /** Name of the object. */
  readonly name: string
  /** Who asks; shown to whoever is refused. */
  readonly holder: string
  /** How long the lease lasts without a renewal; renewed each third of it. */
  readonly durationMs: number
  readonly clock: Clock
  /** Of whoever asks again and again; the same at each time. Without one, somebody asks once. */
  readonly watch?: LeaseWatch
}

/** What was seen of a lease that another holds. */
export class LeaseWatch {
  #generation = 0
  #seenMs = 0

  /** Whether it was not renewed for `durationMs` by the monotonic clock, since it was first seen so. */
  isOverdue(generation: number, durationMs: number, monotonicMs: number): boolean {
    if (generation !== this.#generation) {
      this.#generation = generation
      this.#seenMs = monotonicMs
    }
    return monotonicMs - this.#seenMs >= durationMs
  }
}

export interface Lease {
  /** Aborts when the lease is no longer the holder's; its reason is the error of `assertHeld`. */
  readonly signal: AbortSignal
  /** Throws `LEASE_LOST` once the time is past or another holder has it. */
  assertHeld(): void
  /** Ends the renewals and gives the lease up, if it is still the holder's; never throws. */
  release(): Promise<void>
}

/** Writers that may come between a look at the lease and its taking. */
const TAKE_ATTEMPTS_MAX = 5
const RENEWALS_PER_DURATION = 3
/** How often one who asks once looks whether a lease of a clock ahead is renewed. */
const LOOKS_PER_DURATION = 2 * RENEWALS_PER_DURATION

/**
 * Throws `LEASE_HELD`, naming the holder and until when, while another holder has the lease. Takes as long
 * as the lease lasts where one who asks once has to watch it.
 */
export async function acquireLease(objects: ObjectStore, options: LeaseOptions): Promise<Lease> {
  for (let attempt = 1; ; attempt += 1) {
    const generation = await freeGeneration(objects, options)
    try {
      const lease = new ObjectLease(objects, options)
      await lease.take(generation)
      return lease
    } catch (error) {
      if (!isPreconditionFailed(error) || attempt === TAKE_ATTEMPTS_MAX) throw error
    }
  }
}

/** Generation of a lease that nobody holds; 0 where there is none. */
async function freeGeneration(objects: ObjectStore, options: LeaseOptions): Promise<number> {
  const { name, clock } = options
  const watch = options.watch ?? new LeaseWatch()
  let first: number | undefined
  for (;;) {
    const found = await objects.read(name)
    const generation = found?.info.generation ?? 0
    const held = found && heldBy(found, { name, clock, watch })
    if (held === undefined) return generation
    first ??= generation
    const mayWatch = options.watch === undefined && held.isOfClockAhead && generation === first
    if (!mayWatch) throw held.refusal
    await clock.sleep(held.durationMs / LOOKS_PER_DURATION)
  }
}

/** Whether somebody has the lease at this moment; for those who only look. Throws `LEASE_INVALID`. */
export async function isHeld(
  { objects, clock }: { readonly objects: ObjectStore; readonly clock: Clock },
  name: string,
): Promise<boolean> {
  const found = await objects.read(name)
  return found !== undefined && holderOf(found, name).untilMs > clock.nowMs()
}

class ObjectLease implements Lease {
  readonly #objects: ObjectStore
  readonly #options: LeaseOptions
  readonly #lost = new AbortController()
  #generation = 0
  #untilMs = 0
  #stopRenewals: () => void = () => undefined
  #renewal: Promise<void> = Promise.resolve()
  #renewing = false

  constructor(objects: ObjectStore, options: LeaseOptions) {
    this.#objects = objects
    this.#options = options
  }

  get signal(): AbortSignal {
    return this.#lost.signal
  }

  async take(generation: number): Promise<void> {
    await this.#write(generation)
    const { clock, durationMs } = this.#options
    this.#stopRenewals = clock.every(durationMs / RENEWALS_PER_DURATION, () => {
      // A slow store must not gather renewals: the next one comes when this is over, if it is in time.
      if (!this.#renewing) this.#renewal = this.#renew()
      else if (clock.nowMs() >= this.#untilMs) this.#lose('its time is past')
    })
  }

  assertHeld(): void {
    if (this.#options.clock.nowMs() >= this.#untilMs) this.#lose('its time is past')
    this.#lost.signal.throwIfAborted()
  }

  async release(): Promise<void> {
    this.#stopRenewals()
    await this.#renewal
    if (this.#lost.signal.aborted) return
    try {
      await this.#objects.delete(this.#options.name, this.#generation)
    } catch {
      // Another holder took it after its time, or the store is away: then it ends by itself.
    }
  }

  async #renew(): Promise<void> {
    this.#renewing = true
    try {
      this.assertHeld()
      await this.#write(this.#generation)
    } catch (error) {
      // Any other failure leaves the lease as it is: the next renewal may succeed before its time.
      if (isPreconditionFailed(error)) this.#lose('another holder has it')
    } finally {
      this.#renewing = false
    }
  }

  async #write(generation: number): Promise<void> {
    const { name, holder, durationMs, clock } = this.#options
    const untilMs = clock.nowMs() + durationMs
    const bytes = Buffer.from(JSON.stringify({ holder, untilMs, durationMs }))
    this.#generation = (await this.#objects.replace(name, bytes, generation)).generation
    this.#untilMs = untilMs
  }

  #lose(received: string): void {
    if (this.#lost.signal.aborted) return
    this.#stopRenewals()
    const { name, holder } = this.#options
    const expected = `${name} held by ${holder}`
    this.#lost.abort(objectErrors.create('LEASE_LOST', { expected, received }))
  }
}

const leaseSchema = z.object({
  holder: z.string(),
  untilMs: z.int(),
  /** Absent in one of an earlier release. */
  durationMs: z.int().optional(),
})

interface Held {
  readonly refusal: BackhaulError
  readonly durationMs: number
  /** It names a time further off than it lasts. */
  readonly isOfClockAhead: boolean
}

function heldBy(
  found: StoredObject,
  { name, clock, watch }: Required<Pick<LeaseOptions, 'name' | 'clock' | 'watch'>>,
): Held | undefined {
  const { holder, untilMs, durationMs = Infinity } = holderOf(found, name)
  const leftMs = untilMs - clock.nowMs()
  const isOverdue = watch.isOverdue(found.info.generation, durationMs, clock.monotonicMs())
  if (leftMs <= 0 || isOverdue) return undefined
  const refusal = objectErrors.create('LEASE_HELD', {
    expected: `${name} to be free`,
    received: `held by ${holder} until ${new Date(untilMs).toISOString()}`,
  })
  return { refusal, durationMs, isOfClockAhead: leftMs > durationMs }
}

function holderOf(found: StoredObject, name: string): z.infer<typeof leaseSchema> {
  const text = Buffer.from(found.bytes).toString()
  const verdict = leaseSchema.safeParse(jsonOf(text))
  if (verdict.success) return verdict.data
  throw objectErrors.create('LEASE_INVALID', { expected: name, received: describeValue(text) })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function isPreconditionFailed(error: unknown): boolean {
  return error instanceof BackhaulError && error.code === 'OBJECT_PRECONDITION_FAILED'
}
