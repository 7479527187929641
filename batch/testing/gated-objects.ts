/** An object store whose caller stops before a step, and goes on when it is told: a process that stands still. */
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { over } from './altered-port.ts'

/** Before the n-th call of a kind of objects whose names begin so. */
export type ObjectStop = readonly [what: 'create' | 'delete', of: string, nth: number]

/** Gates a step: `stopped` resolves when somebody stands before it, and it goes on when told. */
export class Gate {
  readonly stopped: Promise<void>
  #stand: () => void = () => undefined
  goOn: () => void = () => undefined
  readonly #opened = new Promise<void>((resolve) => (this.goOn = resolve))

  constructor() {
    this.stopped = new Promise((resolve) => (this.#stand = resolve))
  }

  pass(): Promise<void> {
    this.#stand()
    return this.#opened
  }
}

export function gated(
  objects: ObjectStore,
  [stopped, of, nth]: ObjectStop,
  gate: Gate,
): ObjectStore {
  let left = nth
  const before = async (what: 'create' | 'delete', name: string) => {
    if (stopped !== what || !name.startsWith(of)) return
    left -= 1
    if (left === 0) await gate.pass()
  }
  return over(objects, {
    create: async (name, bytes) => {
      await before('create', name)
      return objects.create(name, bytes)
    },
    delete: async (name, generation) => {
      await before('delete', name)
      return objects.delete(name, generation)
    },
  })
}
