/** The checkpoints of a run, as whoever damages the object store, or looks into it, finds them. */
import type { Random } from '../../shared/runtime/random.ts'
import type { MemoryObjectStore } from './memory-object-store.ts'
import type { Damage } from './plan.ts'

const ALL = { limit: Number.MAX_SAFE_INTEGER }

export class Checkpoints {
  readonly #objects: MemoryObjectStore
  readonly #view: string
  readonly #lost = new Set<number>()
  readonly #damaged = new Set<string>()
  readonly #highest = new Map<number, number>()
  /** By partition, how often something was saved of each generation, in the order of the first. */
  readonly #saves = new Map<number, { readonly generation: number; saves: number }[]>()

  constructor(objects: MemoryObjectStore, view: string) {
    this.#objects = objects
    this.#view = view
    objects.onWrite = (name) => {
      const match = /^checkpoints\/.*\/p(\d+)\/g(\d+)\/(\d+)-\d+$/.exec(name)
      if (match === null) return
      const [partition = 0, generation = 0, offset = 0] = match.slice(1).map(Number)
      this.#count(partition, generation)
      this.#highest.set(partition, Math.max(offset, this.#highest.get(partition) ?? 0))
    }
  }

  /** Whether everything that a recovery could begin at was lost at some time. */
  wasLost(partition: number): boolean {
    return this.#lost.has(partition)
  }

  /** The first generation of which anything was saved; whoever dies before leaves a number unused. */
  firstGenerationOf(partition: number): number {
    return this.#saves.get(partition)?.[0]?.generation ?? 1
  }

  /** Likewise of which more was saved than that it begins: a former owner may say that too late. */
  firstUsedGenerationOf(partition: number): number {
    const used = this.#saves.get(partition)?.find(({ saves }) => saves > 1)
    return used?.generation ?? this.#highestGenerationOf(partition)
  }

  #highestGenerationOf(partition: number): number {
    return Math.max(1, ...(this.#saves.get(partition) ?? []).map(({ generation }) => generation))
  }

  /** The highest offset ever saved. */
  highestEverOf(partition: number): number {
    return this.#highest.get(partition) ?? 0
  }

  /** The highest offset that is there now. */
  highestOffset(partition: number): number | undefined {
    const offsets = this.#namesOf(partition).map((name) => Number(/(\d+)-\d+$/.exec(name)?.[1]))
    return offsets.length === 0 ? undefined : Math.max(...offsets)
  }

  #count(partition: number, generation: number): void {
    const begun = this.#saves.get(partition) ?? []
    this.#saves.set(partition, begun)
    const known = begun.find((one) => one.generation === generation)
    if (known === undefined) begun.push({ generation, saves: 1 })
    else known.saves += 1
  }

  moveAway(partition: number): void {
    for (const name of this.#namesOf(partition)) this.#objects.delete(name)
  }

  damage(partition: number, what: Damage, random: Random): void {
    const names = this.#namesOf(partition)
    if (what !== 'newest') this.#lost.add(partition)
    if (what === 'objects') {
      this.moveAway(partition)
      this.#objects.delete(`processor/owners/${this.#view}/e0/p${partition}`)
      return
    }
    // Of the same offset there may be several: each is one to start from.
    const newest = Math.max(...names.map((name) => Number(/(\d+)-\d+$/.exec(name)?.[1])))
    const isHit = (name: string) =>
      what === 'all' || name.includes(`/${String(newest).padStart(20, '0')}-`)
    const sound = names.filter((name) => !isHit(name) && !this.#damaged.has(name))
    if (sound.length === 0) this.#lost.add(partition)
    for (const name of names.filter(isHit)) this.#hit(name, random)
  }

  #hit(name: string, random: Random): void {
    this.#damaged.add(name)
    const draw = random.below(3)
    if (draw === 0) return this.#objects.delete(name)
    this.#objects.damage(name, (bytes) => {
      const at = random.below(bytes.length)
      if (draw === 1) return bytes.slice(0, at)
      return bytes.map((byte, index) => (index === at ? byte ^ 0x40 : byte))
    })
  }

  #namesOf(partition: number): string[] {
    const prefix = `checkpoints/processor/${this.#view}/e0/p${partition}/`
    return this.#objects.list(prefix, ALL).map(({ name }) => name)
  }
}
