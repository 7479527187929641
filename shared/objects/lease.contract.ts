/** What a lease keeps to on any object store; every adapter of the store runs these tests. */
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { acquireLease, LeaseWatch, type Lease, type LeaseOptions } from './lease.ts'
import { objectErrors } from './object-errors.ts'
import type { ObjectStoreHarness } from './object-store.contract.ts'
import type { ObjectStore } from './object-store.ts'

const DURATION_MS = 60_000

export function describeLease(
  name: string,
  createHarness: () => Promise<ObjectStoreHarness>,
): void {
  describe(`a lease on ${name}`, () => {
    let harness: ObjectStoreHarness
    let store: ObjectStore
    let clock: ManualClock
    let leaseName: string
    let held: Lease[]

    beforeEach(async () => {
      harness = await createHarness()
      store = await harness.open()
      clock = new ManualClock()
      leaseName = `tests/${randomUUID()}/lease`
      held = []
    })
    afterEach(async () => {
      await Promise.allSettled(held.map((lease) => lease.release()))
      await store.close()
      await harness.dispose()
    })

    const acquire = async (holder: string, over: Partial<LeaseOptions> = {}): Promise<Lease> => {
      const options = { name: leaseName, holder, durationMs: DURATION_MS, clock, ...over }
      const lease = await acquireLease(store, options)
      held.push(lease)
      return lease
    }
    const untilMs = async (): Promise<number> => {
      const object = await store.read(leaseName)
      return (JSON.parse(Buffer.from(object?.bytes ?? []).toString()) as { untilMs: number })
        .untilMs
    }

    it('refuses a second holder, and names the first and until when', async () => {
      await acquire('first')
      const refusal = acquire('second')
      await expect(refusal).rejects.toMatchObject({ code: 'LEASE_HELD' })
      const until = new Date(clock.nowMs() + DURATION_MS).toISOString()
      await expect(refusal).rejects.toThrow(`held by first until ${until}`)
    })

    it('refuses the same holder too: one run at a time, also in one process', async () => {
      await acquire('first')
      await expect(acquire('first')).rejects.toMatchObject({ code: 'LEASE_HELD' })
    })

    it('is free once it is released', async () => {
      await (await acquire('first')).release()
      expect(await store.stat(leaseName)).toBeUndefined()
      await acquire('second')
    })

    it('is renewed for as long as it is held', async () => {
      const lease = await acquire('first')
      for (let renewal = 0; renewal < 9; renewal += 1) {
        await clock.advance(DURATION_MS / 3)
        await expect.poll(untilMs).toBe(clock.nowMs() + DURATION_MS)
      }
      expect(() => lease.assertHeld()).not.toThrow()
      await expect(acquire('second')).rejects.toMatchObject({ code: 'LEASE_HELD' })
    })

    it('goes to another when its holder has died', async () => {
      // The dead holder's clock does not run on.
      await acquire('dead', { clock: new ManualClock(clock.nowMs()) })
      await clock.advance(DURATION_MS - 1)
      await expect(acquire('heir')).rejects.toMatchObject({ code: 'LEASE_HELD' })
      await clock.advance(1)
      await acquire('heir')
    })

    it('goes to whoever watched it in vain for its time, if the clock of its dead holder was ahead', async () => {
      await acquire('dead', { clock: new ManualClock(clock.nowMs() + 100 * DURATION_MS) })
      const watch = new LeaseWatch()
      const watched = () => acquire('heir', { watch, durationMs: 1 })
      await expect(watched()).rejects.toMatchObject({ code: 'LEASE_HELD' })
      await clock.advance(DURATION_MS - 1)
      await expect(watched()).rejects.toMatchObject({ code: 'LEASE_HELD' })
      await clock.advance(1)
      await watched()
    })

    /** Moves the clock until `asked` has its answer; resolves to how far, ms. */
    const answeredAfterMs = async (
      asked: Promise<unknown>,
      others: readonly ManualClock[] = [],
    ) => {
      const startedMs = clock.nowMs()
      let isAnswered = false
      void Promise.allSettled([asked]).then(() => (isAnswered = true))
      const pass = async () => {
        for (const each of [clock, ...others]) await each.advance(DURATION_MS / 60)
        return isAnswered
      }
      await expect.poll(pass, { interval: 5 }).toBe(true)
      return clock.nowMs() - startedMs
    }

    it('goes to one who asks once, and waits for its time, if the clock of its dead holder was ahead', async () => {
      await acquire('dead', { clock: new ManualClock(clock.nowMs() + 100 * DURATION_MS) })
      const asked = acquire('passer-by', { durationMs: 1 })
      expect(await answeredAfterMs(asked)).toBeGreaterThanOrEqual(DURATION_MS)
      await asked
    })

    it('is refused to one who asks once as soon as its holder, whose clock is ahead, renews it', async () => {
      const ahead = new ManualClock(clock.nowMs() + 100 * DURATION_MS)
      const lease = await acquire('first', { clock: ahead })
      const asked = acquire('passer-by')
      await answeredAfterMs(asked, [ahead])
      await expect(asked).rejects.toMatchObject({ code: 'LEASE_HELD' })
      expect(() => lease.assertHeld()).not.toThrow()
    })

    it('stays with a holder that renews it, however long it is watched', async () => {
      const ahead = new ManualClock(clock.nowMs() + 100 * DURATION_MS)
      const lease = await acquire('first', { clock: ahead })
      const watch = new LeaseWatch()
      for (let third = 0; third < 9; third += 1) {
        await ahead.advance(DURATION_MS / 3)
        await expect.poll(untilMs).toBe(ahead.nowMs() + DURATION_MS)
        await clock.advance(DURATION_MS / 3)
        await expect(acquire('second', { watch })).rejects.toMatchObject({ code: 'LEASE_HELD' })
      }
      expect(() => lease.assertHeld()).not.toThrow()
    })

    it('is lost to a holder that slept past its time, whose release leaves the heir alone', async () => {
      const sleeping = new ManualClock(clock.nowMs())
      const lease = await acquire('sleeper', { clock: sleeping })
      await clock.advance(DURATION_MS)
      await acquire('heir')
      // It wakes up: the first thing that its clock does is the renewal, which meets the heir's.
      await sleeping.advance(DURATION_MS / 3)
      await expect.poll(() => lease.signal.aborted).toBe(true)
      expect(() => lease.assertHeld()).toThrow('LEASE_LOST')
      await lease.release()
      await expect(acquire('third')).rejects.toThrow('held by heir')
    })

    it('is lost once its time is past, whatever the store says', async () => {
      const frail = await acquireLease(brokenFrom(store, 2), {
        name: leaseName,
        holder: 'frail',
        durationMs: DURATION_MS,
        clock,
      })
      await clock.advance(DURATION_MS - 1)
      expect(() => frail.assertHeld()).not.toThrow()
      await clock.advance(1)
      expect(() => frail.assertHeld()).toThrow('LEASE_LOST')
      expect(frail.signal.aborted).toBe(true)
    })

    it('has one winner among many that ask at once', async () => {
      const asked = await Promise.allSettled(
        Array.from({ length: 10 }, (_, index) => acquire(`holder-${index}`)),
      )
      const refused = asked.filter((one) => one.status === 'rejected')
      expect(asked.length - refused.length).toBe(1)
    })

    it('refuses an object that is no lease, and leaves it', async () => {
      await store.create(leaseName, Buffer.from('something else'))
      await expect(acquire('first')).rejects.toMatchObject({ code: 'LEASE_INVALID' })
      await expect(acquire('first')).rejects.toThrow(leaseName)
    })
  })
}

/** A store of which writes fail from the `n`-th on. */
function brokenFrom(store: ObjectStore, n: number): ObjectStore {
  let writes = 0
  return new Proxy(store, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name)
      if (typeof method !== 'function') return method
      return (...args: unknown[]): unknown => {
        if (name === 'replace' && ++writes >= n)
          return Promise.reject(objectErrors.create('OBJECT_UNAVAILABLE'))
        return Reflect.apply(method, target, args)
      }
    },
  })
}
