/** The object store in memory, with the ways in which objects are lost or damaged. */
import { objectErrors } from '../../shared/objects/object-errors.ts'
import type { ListOptions, ObjectInfo, StoredObject } from '../../shared/objects/object-store.ts'
import type { Scheduler } from './scheduler.ts'

export class MemoryObjectStore {
  readonly #scheduler: Scheduler
  readonly #objects = new Map<string, StoredObject>()
  #generation = 0
  /** Told of every object that is written. */
  onWrite: (name: string) => void = () => undefined

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  replace(name: string, bytes: Uint8Array, ifGeneration: number): ObjectInfo {
    const found = this.#objects.get(name)?.info.generation ?? 0
    if (found !== ifGeneration)
      throw objectErrors.create('OBJECT_PRECONDITION_FAILED', { received: name })
    this.#generation += 1
    const info: ObjectInfo = {
      name,
      generation: this.#generation,
      sizeBytes: bytes.length,
      crc32c: '',
      updatedAtMs: this.#scheduler.nowMs,
    }
    this.#objects.set(name, { info, bytes })
    this.onWrite(name)
    return info
  }

  read(name: string): StoredObject | undefined {
    return this.#objects.get(name)
  }

  list(prefix: string, { startAfter = '', limit }: ListOptions): ObjectInfo[] {
    return [...this.#objects.values()]
      .map(({ info }) => info)
      .filter(({ name }) => name.startsWith(prefix) && name > startAfter)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .slice(0, limit)
  }

  delete(name: string, ifGeneration?: number): void {
    const found = this.#objects.get(name)
    if (found === undefined) return
    if (ifGeneration !== undefined && found.info.generation !== ifGeneration)
      throw objectErrors.create('OBJECT_PRECONDITION_FAILED', { received: name })
    this.#objects.delete(name)
  }

  /** A disk that lies: other bytes under the same name and generation. */
  damage(name: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const found = this.#objects.get(name)
    if (found !== undefined)
      this.#objects.set(name, { info: found.info, bytes: change(found.bytes) })
  }
}
