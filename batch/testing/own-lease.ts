import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { LEASE_NAME } from '../object-names.ts'
import { over } from './altered-port.ts'

let given = 0

/** The store, where the lease of the batch is another than everybody else's, as if nobody else looked. */
export function withLeaseOfItsOwn(objects: ObjectStore): ObjectStore {
  given += 1
  const own = `leases/own-${given}`
  const nameOf = (name: string) => (name === LEASE_NAME ? own : name)
  return over(objects, {
    read: (name, range) => objects.read(nameOf(name), range),
    replace: (name, bytes, generation) => objects.replace(nameOf(name), bytes, generation),
    delete: (name, generation) => objects.delete(nameOf(name), generation),
  })
}
