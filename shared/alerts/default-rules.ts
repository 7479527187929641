/**
 * The rules of a server that has no file of its own. They are meant to stay quiet on a healthy
 * service: ratios want 25 samples in their window, by content a longer window, and nothing is raised by a
 * single minute.
 */
import type { RuleInput } from './rules.ts'

const FIVE = { windowMinutes: 5, forMinutes: 2 } as const
const above = (value: number) => ({ kind: 'threshold', direction: 'above', value }) as const

export const DEFAULT_RULES: readonly RuleInput[] = [
  {
    id: 'stalled-time-by-cdn',
    title: 'Viewers of a CDN stall',
    severity: 'critical',
    metric: 'stalledTimeRatio',
    cut: 'cdn',
    condition: above(0.05),
    forMinutes: 2,
  },
  {
    id: 'stalled-time-by-content',
    title: 'Viewers of a content stall',
    metric: 'stalledTimeRatio',
    cut: 'content',
    condition: above(0.08),
    ...FIVE,
  },
  {
    id: 'start-failures-by-cdn',
    title: 'Starts fail on a CDN',
    severity: 'critical',
    metric: 'vsfRatio',
    cut: 'cdn',
    condition: above(0.05),
    ...FIVE,
  },
  {
    id: 'start-failures-by-content',
    title: 'Starts of a content fail',
    severity: 'critical',
    metric: 'vsfRatio',
    cut: 'content',
    condition: above(0.1),
    ...FIVE,
  },
  {
    id: 'exits-before-start-by-cdn',
    title: 'Viewers of a CDN leave before the start',
    metric: 'ebvsRatio',
    cut: 'cdn',
    condition: above(0.15),
    ...FIVE,
  },
  {
    id: 'exits-before-start-by-content',
    title: 'Viewers of a content leave before the start',
    metric: 'ebvsRatio',
    cut: 'content',
    condition: above(0.25),
    ...FIVE,
  },
  {
    id: 'startup-p95-by-cdn',
    title: 'Starts are slow on a CDN',
    metric: 'startupMsP95',
    cut: 'cdn',
    condition: above(8_000),
    ...FIVE,
  },
  {
    id: 'startup-p95-by-content',
    title: 'Starts of a content are slow',
    metric: 'startupMsP95',
    cut: 'content',
    condition: above(10_000),
    ...FIVE,
  },
  {
    id: 'plays-drop',
    title: 'Far fewer plays than a week ago',
    severity: 'critical',
    metric: 'concurrentPlays',
    cut: 'total',
    condition: { kind: 'weekChange', direction: 'below', ratio: 0.5 },
    minimumSamples: 100,
    forMinutes: 3,
  },
  {
    id: 'plays-drop-by-cdn',
    title: 'Plays on a CDN drop suddenly',
    severity: 'critical',
    metric: 'concurrentPlays',
    cut: 'cdn',
    condition: { kind: 'ewma', direction: 'below', deviations: 4, leastRatio: 0.4 },
    minimumSamples: 50,
    forMinutes: 2,
  },
  {
    id: 'plays-drop-by-content',
    title: 'Plays of a content drop suddenly',
    // What everybody watches ends, too.
    severity: 'info',
    metric: 'concurrentPlays',
    cut: 'content',
    condition: { kind: 'ewma', direction: 'below', deviations: 6, leastRatio: 0.6 },
    minimumSamples: 100,
    forMinutes: 2,
  },
  {
    id: 'events-lost-by-cdn',
    title: 'Events of a CDN’s players are lost',
    metric: 'eventsLostRatio',
    cut: 'cdn',
    condition: above(0.01),
    minimumSamples: 1_000,
    // An event counts as lost when its session closes, half an hour after its last one.
    judge: 'closed',
    ...FIVE,
  },
  {
    id: 'events-lost-by-content',
    title: 'Events of a content’s players are lost',
    metric: 'eventsLostRatio',
    cut: 'content',
    condition: above(0.02),
    minimumSamples: 1_000,
    judge: 'closed',
    ...FIVE,
  },
]
