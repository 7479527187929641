/** What a part was by its first end. There are few ways to end: parts that ended alike share one. */
export type Flag = 0 | 1

export interface Outcome {
  readonly failed: Flag
  readonly vsf: Flag
  readonly vpf: Flag
  readonly endedPlay: Flag
  readonly ebvs: Flag
  readonly ebvsLong: Flag
}

export const NOT_ENDED: Outcome = {
  failed: 0,
  vsf: 0,
  vpf: 0,
  endedPlay: 0,
  ebvs: 0,
  ebvsLong: 0,
}

const known = new Map<string, Outcome>()

/** The one that says the same. */
export function outcomeOf({ failed, vsf, vpf, endedPlay, ebvs, ebvsLong }: Outcome): Outcome {
  const flags = `${failed}${vsf}${vpf}${endedPlay}${ebvs}${ebvsLong}`
  let outcome = known.get(flags)
  if (outcome === undefined) {
    outcome = { failed, vsf, vpf, endedPlay, ebvs, ebvsLong }
    known.set(flags, outcome)
  }
  return outcome
}
