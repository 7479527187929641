/** `node leave-in-transaction.ts FOLDER throw|exit`: ends while a transaction of the folder is on its way. */
import { openLmdbRoot } from '../root.ts'
import { transact } from '../transaction.ts'

/** By then LMDB's thread has the lock and waits for this one. */
const BUSY_MS = 500

const [folder = '', how] = process.argv.slice(2)
const { database } = openLmdbRoot(folder, 2 ** 20)
const never = transact(database, () => undefined)
setImmediate(() => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_MS)
  if (how === 'throw') throw new Error('nobody catches this')
  process.exit(0)
})
await never
