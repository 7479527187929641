import { afterEach, describe, expect, it } from 'vitest'
import { ManualClock } from '../shared/runtime/clock.ts'
import type { ReconcileSummary } from '../shared/warehouse/reconcile-summary.ts'
import type { RunningServing } from './start.ts'
import { NOW_MS, startTestServing, stopTestServings } from './testing/test-serving.ts'
import { MemorySpeedStore, minuteRow, partitionRow } from './testing/test-stores.ts'

const MINUTE_MS = 60_000
/** The newest minute that is over at `NOW_MS`. */
const minuteStartMs = NOW_MS - 30_000 - MINUTE_MS
const EVERY_MS = 1_000

afterEach(stopTestServings)

/** Samples of the metrics that begin with `prefix`, as they are scraped. */
async function scraped({ url }: RunningServing, prefix: string): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const lines = text.split('\n').filter((line) => line.startsWith(prefix))
  return Object.fromEntries(
    lines.map((line) => {
      const blank = line.lastIndexOf(' ')
      return [line.slice(0, blank), Number(line.slice(blank + 1))]
    }),
  )
}

async function playing(speed: MemorySpeedStore): Promise<void> {
  await speed.putPartitions([partitionRow(NOW_MS)])
  const both = { attempts: 40, plays: 30, vsf: 10, watchedMs: 1_000, stallMs: 20 }
  await speed.putMinutes([
    minuteRow({ minuteStartMs, aggregates: both }),
    // The minute that is not over counts for nothing yet.
    minuteRow({ minuteStartMs: minuteStartMs + MINUTE_MS, aggregates: { plays: 900 } }),
    minuteRow({ minuteStartMs, cut: 'cdn', key: '["a"]', aggregates: { ...both, vsf: 8 } }),
  ])
}

const observed = { observeEveryMs: EVERY_MS }

describe('what serving observes of playback', () => {
  it('is the newest whole minute, of all and by CDN', async () => {
    const speed = new MemorySpeedStore()
    await playing(speed)
    const { serving, clock } = await startTestServing({ speed, limits: observed })
    await clock.advance(EVERY_MS)
    await expect
      .poll(() => scraped(serving, 'serving_playback_plays'))
      .toEqual({
        'serving_playback_plays{cdn="all"}': 30,
        'serving_playback_plays{cdn="a"}': 30,
      })
    expect(await scraped(serving, 'serving_playback_vsf_ratio')).toEqual({
      'serving_playback_vsf_ratio{cdn="all"}': 0.25,
      'serving_playback_vsf_ratio{cdn="a"}': 0.2,
    })
    expect(await scraped(serving, 'serving_playback_stalled_time_ratio{cdn="all"}')).toEqual({
      'serving_playback_stalled_time_ratio{cdn="all"}': 0.02,
    })
    // Nothing ended: a ratio without a denominator has no sample.
    expect(await scraped(serving, 'serving_playback_vpf_ratio')).toEqual({})
    expect(await scraped(serving, 'serving_narrow_as_of_ms')).toEqual({
      serving_narrow_as_of_ms: NOW_MS,
    })
  })

  it('keeps the sum of all apart from a CDN of that name', async () => {
    const speed = new MemorySpeedStore()
    await playing(speed)
    await speed.putMinutes([
      minuteRow({
        minuteStartMs,
        cut: 'cdn',
        key: '["all"]',
        aggregates: { attempts: 5, plays: 5 },
      }),
    ])
    const { serving, clock } = await startTestServing({ speed, limits: observed })
    await clock.advance(EVERY_MS)
    await expect
      .poll(() => scraped(serving, 'serving_playback_plays'))
      .toEqual({
        'serving_playback_plays{cdn="all"}': 30,
        'serving_playback_plays{cdn="a"}': 30,
        'serving_playback_plays{cdn="all (cdn)"}': 5,
      })
  })

  it('goes when it cannot be read, is counted, and comes back', async () => {
    const speed = new MemorySpeedStore()
    await playing(speed)
    const clock = new ManualClock(NOW_MS)
    const { serving } = await startTestServing({ speed, clock, limits: observed })
    await clock.advance(EVERY_MS)
    const plays = async () => Object.keys(await scraped(serving, 'serving_playback_plays')).length
    await expect.poll(plays).toBe(2)
    const { readPartitions } = speed
    speed.readPartitions = () => Promise.reject(new Error('away'))
    await clock.advance(EVERY_MS)
    await expect.poll(plays).toBe(0)
    expect(await scraped(serving, 'serving_observation_failures_total')).toEqual({
      serving_observation_failures_total: 1,
    })
    // What was read last stands still, which is what the alert on it looks for.
    expect(await scraped(serving, 'serving_narrow_as_of_ms')).toEqual({
      serving_narrow_as_of_ms: NOW_MS,
    })
    speed.readPartitions = readPartitions
    await clock.advance(EVERY_MS)
    await expect.poll(plays).toBe(2)
  })

  it('says what the last comparison of live and history found', async () => {
    const speed = new MemorySpeedStore()
    await speed.putPartitions([partitionRow(NOW_MS)])
    const summary: ReconcileSummary = {
      run: 3,
      reconciledAtMs: NOW_MS - 5,
      verdict: 'defect',
      compared: 100,
      explained: 10,
      erased: 1,
      defects: 2,
      pending: 7,
    }
    const { serving, clock } = await startTestServing({
      speed,
      limits: observed,
      readReconcile: () => Promise.resolve(summary),
    })
    await clock.advance(EVERY_MS)
    await expect
      .poll(() => scraped(serving, 'serving_reconcile_rows'))
      .toEqual({
        'serving_reconcile_rows{outcome="equal"}': 87,
        'serving_reconcile_rows{outcome="explained"}': 10,
        'serving_reconcile_rows{outcome="erased"}': 1,
        'serving_reconcile_rows{outcome="defect"}': 2,
        'serving_reconcile_rows{outcome="pending"}': 7,
      })
    expect(await scraped(serving, 'serving_reconciled_at_ms')).toEqual({
      serving_reconciled_at_ms: NOW_MS - 5,
    })
  })
})
