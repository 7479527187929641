/**
 * What is checked of every run, and from which rate on a check is flagged. Nothing is held up by a
 * flag: it stands in `data_quality` and in a metric, for people.
 */
import { configErrors } from '../shared/runtime/config.ts'

interface QualityCheck {
  /** What is found, of what. */
  readonly meaning: string
  /** Rate above which it is flagged; a check without one is a count alone. */
  readonly threshold?: number
}

/** In the order of the docs: the stages of the run, then nulls, arrival, and rules. */
export const QUALITY_CHECKS: Readonly<Record<string, QualityCheck>> = {
  stage_records: { meaning: 'records with something in them, of all records, ticks included' },
  stage_frames: { meaning: 'frames that could be read, of the records of playback.events' },
  stage_events: { meaning: 'events that were new, of all copies that came' },
  held_back: { meaning: 'copies that wait in late_events, of the copies that came' },
  poison: { meaning: 'records that could not be read, of all records', threshold: 0 },
  refused: { meaning: 'rejects, of accepted events and rejects', threshold: 0.01 },
  rejected: { meaning: 'copies that the gateway rejected, of all copies', threshold: 0.01 },
  null_content: { meaning: 'events without a content, of events', threshold: 0.01 },
  null_cdn: { meaning: 'events without a CDN, of events', threshold: 0.2 },
  null_device: { meaning: 'events without a device type, of events', threshold: 0.2 },
  null_player: { meaning: 'events without a player or its version, of events', threshold: 0.2 },
  null_bitrate: { meaning: 'parts that played at no known bitrate, of parts', threshold: 0.2 },
  duplicate: { meaning: 'repeated copies, of accepted copies', threshold: 0.1 },
  late: { meaning: 'events too late for the live view, of events', threshold: 0.01 },
  amended: { meaning: 'events whose gap the live view had skipped, of events', threshold: 0.01 },
  after_close: { meaning: 'events after their session was closed, of events', threshold: 0.01 },
  capped: { meaning: 'events beyond a bound of the live view, of events', threshold: 0 },
  lost: { meaning: 'events that never came, of those sent, in closed sessions', threshold: 0.01 },
  repair_state: { meaning: 'events that met a state without a transition', threshold: 0.02 },
  repair_backwards: { meaning: 'events whose time ran backwards, of events', threshold: 0.02 },
  repair_clamped: { meaning: 'events whose time was impossible, of events', threshold: 0.001 },
  at_in_future: { meaning: 'events that happened after they were sent, of events', threshold: 0 },
  start_without_request: { meaning: 'plays without a request, of plays', threshold: 0.1 },
  stall_without_start: { meaning: 'stalls before any start, of stalls', threshold: 0.05 },
  heartbeat_gap: { meaning: 'events over 60 s after the one before, of events', threshold: 0.02 },
}

/** The thresholds as they are set: those above, but for what `<check>=<rate>` names. */
export function qualityThresholds(changes: readonly string[]): ReadonlyMap<string, number> {
  const thresholds = new Map<string, number>()
  for (const [check, { threshold }] of Object.entries(QUALITY_CHECKS))
    if (threshold !== undefined) thresholds.set(check, threshold)
  for (const change of changes) {
    const [check = '', text = '', ...rest] = change.split('=')
    const rate = Number(text)
    const isRate = /^\d+(\.\d+)?$/.test(text) && rate <= 1
    if (!thresholds.has(check) || !isRate || rest.length > 0)
      throw configErrors.create('CONFIG_INVALID', {
        expected: `BATCH_QUALITY_THRESHOLDS to be <check>=<rate from 0 to 1>,… with checks of ${[...thresholds.keys()].join(', ')}`,
        received: change,
      })
    thresholds.set(check, rate)
  }
  return thresholds
}
