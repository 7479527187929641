import { expect, it } from 'vitest'
import { emptyRuleState, type Outgoing } from '../../shared/alerts/rule-state.ts'
import type { RuleStateRow } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { outgoing } from '../testing/outgoing-alert.ts'
import { scriptedErrors } from '../testing/test-doubles.ts'
import { StateBook } from './state-book.ts'

const MINUTE_MS = 60_000
const TO_MS = 30_000_000 * MINUTE_MS

/** Keeps rule states of all views by the rule of stamps; fails while `failure` is set. */
class RuleStore {
  readonly rows = new Map<string, RuleStateRow>()
  failure: Error | undefined

  putRuleStates(rows: readonly RuleStateRow[]): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure)
    for (const row of rows) {
      const name = `${row.view} ${row.ruleId}`
      if ((this.rows.get(name)?.stampUs ?? 0) <= row.stampUs) this.rows.set(name, row)
    }
    return Promise.resolve()
  }

  readRuleStates(view: string): Promise<RuleStateRow[]> {
    return Promise.resolve([...this.rows.values()].filter((row) => row.view === view))
  }
}

function bookOn(store: RuleStore, view = 'view', formerViews?: readonly string[]) {
  const speed = store as Pick<SpeedStore, keyof RuleStore & keyof SpeedStore> as SpeedStore
  return StateBook.load(speed, view, formerViews)
}

const state = (judgedToMs = TO_MS, outbox: Outgoing[] = []) => ({
  ...emptyRuleState('x', judgedToMs),
  outbox,
})

it('keeps an alert until it has gone everywhere', async () => {
  const store = new RuleStore()
  const book = await bookOn(store)
  book.set('stalls', state(TO_MS, [outgoing('one'), outgoing('two')]))
  book.delivered('stalls', new Set(['one']), 'toTopic')
  book.delivered('stalls', new Set(['two']), 'toTopic')
  book.delivered('stalls', new Set(['one']), 'toWebhook')
  await book.flush()
  const again = await bookOn(store)
  const left = again.outgoing(() => true).get('stalls')
  expect(left).toMatchObject([{ alert: { id: 'two' }, toTopic: false, toWebhook: true }])
  expect(again.sizes).toEqual({ open: 0, outbox: 1 })
})

it('writes what changed under ever higher stamps of event time', async () => {
  const store = new RuleStore()
  const book = await bookOn(store)
  const stamps: (number | undefined)[] = []
  for (const judgedToMs of [TO_MS, TO_MS, TO_MS + MINUTE_MS]) {
    book.set('stalls', state(judgedToMs))
    await book.flush()
    stamps.push(store.rows.get('view stalls')?.stampUs)
  }
  expect(stamps).toEqual([TO_MS * 1_000, TO_MS * 1_000 + 1, (TO_MS + MINUTE_MS) * 1_000])
})

it('keeps a change pending when the store does not take it', async () => {
  const store = new RuleStore()
  const book = await bookOn(store)
  book.set('stalls', state())
  store.failure = scriptedErrors.create('SCRIPTED_OUTAGE')
  await expect(book.flush()).rejects.toThrow('SCRIPTED_OUTAGE')
  store.failure = undefined
  await book.flush()
  expect(store.rows.size).toBe(1)
})

it('finds out when another evaluator has written, whichever of the two was first', async () => {
  const store = new RuleStore()
  const first = await bookOn(store)
  const second = await bookOn(store)
  first.set('stalls', state())
  await first.flush()
  await first.confirm()
  second.set('stalls', state(TO_MS + MINUTE_MS))
  await second.flush()
  const overtaken = { code: 'PROCESSOR_ALERTS_OVERTAKEN' }
  await expect(first.confirm()).rejects.toMatchObject(overtaken)
  // What the first one writes for an earlier minute does not stay.
  first.set('stalls', state(TO_MS))
  await first.flush()
  await expect(first.confirm()).rejects.toMatchObject(overtaken)
  await second.confirm()
})

it('begins with what rules stood at in the views before, where they were judged further there', async () => {
  const store = new RuleStore()
  const first = await bookOn(store, 'first')
  first.set('stalls', state(TO_MS + MINUTE_MS, [outgoing('open')]))
  first.set('failures', state(TO_MS))
  await first.flush()
  const second = await bookOn(store, 'second')
  second.set('failures', state(TO_MS + 2 * MINUTE_MS))
  second.set('stalls', state(TO_MS))
  await second.flush()

  const book = await bookOn(store, 'third', ['second', 'first'])
  expect(book.ruleIds.toSorted()).toEqual(['failures', 'stalls'])
  expect(book.get('failures')?.judgedToMs).toBe(TO_MS + 2 * MINUTE_MS)
  expect(book.get('stalls')).toMatchObject({
    judgedToMs: TO_MS + MINUTE_MS,
    outbox: [{ alert: { id: 'open' } }],
  })
  // And goes on from there: what it writes is the newest, and its own.
  book.set('stalls', state(TO_MS + 3 * MINUTE_MS))
  await book.flush()
  await book.confirm()
  const again = await bookOn(store, 'third', ['second', 'first'])
  expect(again.get('stalls')).toMatchObject({ judgedToMs: TO_MS + 3 * MINUTE_MS, outbox: [] })
  expect((await bookOn(store, 'first')).get('stalls')?.judgedToMs).toBe(TO_MS + MINUTE_MS)
})
