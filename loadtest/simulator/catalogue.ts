/** The world of the simulated audience: networks, players, devices, countries and contents. */
import type { Random } from '../../shared/runtime/random.ts'

/** How a CDN treats its viewers. Chances are per session, rates per minute of playing. */
export interface CdnCharacter {
  readonly cdn: string
  readonly share: number
  readonly startupMedianMs: number
  readonly startFailureChance: number
  readonly playFailureChance: number
  readonly stallsPerMinute: number
  readonly stallMedianMs: number
}

export const CDNS: readonly CdnCharacter[] = [
  {
    cdn: 'northstar',
    share: 5,
    startupMedianMs: 800,
    startFailureChance: 0.006,
    playFailureChance: 0.004,
    stallsPerMinute: 0.03,
    stallMedianMs: 700,
  },
  {
    cdn: 'meridian',
    share: 4,
    startupMedianMs: 950,
    startFailureChance: 0.008,
    playFailureChance: 0.006,
    stallsPerMinute: 0.05,
    stallMedianMs: 900,
  },
  {
    // The bad one: what an operator should find on the page within a minute.
    cdn: 'driftwood',
    share: 2,
    startupMedianMs: 3_200,
    startFailureChance: 0.07,
    playFailureChance: 0.05,
    stallsPerMinute: 0.7,
    stallMedianMs: 3_500,
  },
]

/** Where sessions of a CDN that treats them badly are moved. */
export const RESCUE_CDN = 'northstar'
export const BAD_CDN = 'driftwood'

interface Weighted {
  readonly share: number
}

export interface DeviceKind extends Weighted {
  readonly device: { readonly type: string; readonly make: string; readonly os: string }
  readonly player: { readonly name: string; readonly version: string }
}

export const DEVICE_KINDS: readonly DeviceKind[] = [
  device(5, ['tv', 'Samsung', 'Tizen'], ['shaka-player', '5.2.12']),
  device(3, ['tv', 'LG', 'webOS'], ['shaka-player', '5.1.8']),
  device(4, ['phone', 'Apple', 'iOS'], ['AVPlayer', '18.2']),
  device(5, ['phone', 'Google', 'Android'], ['ExoPlayer', '1.8.0']),
  device(2, ['phone', 'Samsung', 'Android'], ['ExoPlayer', '1.5.1']),
  device(2, ['tablet', 'Apple', 'iOS'], ['AVPlayer', '18.2']),
  device(4, ['desktop', 'PC', 'Windows'], ['hls.js', '1.7.4']),
  device(2, ['desktop', 'Apple', 'macOS'], ['dash.js', '5.2.1']),
  device(1, ['console', 'Sony', 'PlayStation'], ['dash.js', '5.1.0']),
  device(2, ['set-top', 'Sagemcom', 'RDK'], ['ExoPlayer', '1.5.1']),
]

function device(
  share: number,
  [type, make, os]: readonly [string, string, string],
  [name, version]: readonly [string, string],
): DeviceKind {
  return { share, device: { type, make, os }, player: { name, version } }
}

export const COUNTRIES: readonly (Weighted & { readonly country: string })[] = [
  { country: 'DE', share: 8 },
  { country: 'FR', share: 6 },
  { country: 'GB', share: 6 },
  { country: 'US', share: 6 },
  { country: 'ES', share: 4 },
  { country: 'IT', share: 4 },
  { country: 'PL', share: 3 },
  { country: 'NL', share: 2 },
  { country: 'SE', share: 2 },
  { country: 'BR', share: 2 },
  { country: 'JP', share: 1 },
  { country: 'CZ', share: 1 },
]

/** Video bitrates of the ladder, lowest first; audio is constant. */
export const LADDER_KBPS: readonly number[] = [800, 1_600, 3_000, 5_800]
export const AUDIO_KBPS = 128

export interface Content {
  readonly contentId: string
  readonly title: string
  readonly streamType: 'vod' | 'live'
}

const TITLE_WORDS = {
  first: ['Silent', 'Northern', 'Paper', 'Second', 'Golden', 'Hollow', 'Electric', 'Last'],
  second: ['Harbour', 'Winter', 'Garden', 'Signal', 'Orchard', 'Bridge', 'Meridian', 'Tide'],
} as const

/** Every tenth content is a live channel; the others are films. */
export function contentOf(rank: number): Content {
  if (rank % 10 === 3) {
    const channel = Math.floor(rank / 10) + 1
    return { contentId: `channel-${channel}`, title: `Channel ${channel}`, streamType: 'live' }
  }
  const first = TITLE_WORDS.first[rank % TITLE_WORDS.first.length]
  const second = TITLE_WORDS.second[Math.floor(rank / TITLE_WORDS.first.length) % 8]
  return {
    contentId: `movie-${rank + 1}`,
    title: `${first} ${second} ${rank + 1}`,
    streamType: 'vod',
  }
}

/** Picks by share. */
export function pickWeighted<Item extends Weighted>(items: readonly Item[], random: Random): Item {
  const total = items.reduce((sum, item) => sum + item.share, 0)
  let left = random.next() * total
  for (const item of items) {
    left -= item.share
    if (left < 0) return item
  }
  throw new Error('nothing to pick from')
}

/**
 * A rank in [0, ranks), rank r about in proportion to 1 / (r + 1): the inverse of Zipf's
 * continuous distribution function.
 */
export function zipfRank(ranks: number, random: Random): number {
  return Math.min(ranks - 1, Math.floor((ranks + 1) ** random.next()) - 1)
}
