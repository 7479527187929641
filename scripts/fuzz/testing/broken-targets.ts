/** Targets that break what is promised, each in its way, once an input has grown a letter x. */
import type { FuzzTarget } from '../target.ts'

const X = 'x'.charCodeAt(0)

const BREAKS: Readonly<Record<string, () => string>> = {
  sound: () => 'x',
  crash: () => {
    throw new TypeError('nobody expected this')
  },
  hang: () => {
    for (;;);
  },
  memory: () => {
    const held: string[][] = []
    for (;;) held.push('x'.repeat(1_000_000).split(''))
  },
}

export function findTarget(name: string): FuzzTarget {
  return {
    name,
    seeds: [Uint8Array.of(0)],
    words: ['x'],
    judge: (bytes) => (bytes.includes(X) ? (BREAKS[name]?.() ?? 'x') : 'no x'),
  }
}
