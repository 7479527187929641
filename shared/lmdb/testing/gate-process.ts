/**
 * A process that opens or writes an LMDB folder, to be watched and killed:
 *
 *   node gate-process.ts open FOLDER reader|writer    opens it again and again, a line for each time
 *   node gate-process.ts write FOLDER                 is in the midst of a write for a while, and says when it ends
 *   node gate-process.ts die FOLDER                   is killed while it opens it
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../runtime/clock.ts'
import { OpeningGate } from '../opening-gate.ts'
import { openLmdbRoot } from '../root.ts'

export const GATE_MAP_BYTES = 2 ** 26
/** Written by `write` just before its write ends. */
export const WRITTEN = 'written'
const WRITE_MS = 500

if (import.meta.main) await run(process.argv.slice(2))

async function run([what = '', folder = '', how = '']: readonly string[]): Promise<void> {
  if (what === 'open') {
    for (;;) {
      const root = openLmdbRoot(folder, GATE_MAP_BYTES, how === 'reader')
      await root.close()
      process.stdout.write('opened\n')
    }
  }
  if (what === 'die') new OpeningGate(folder).open(() => process.kill(process.pid, 'SIGKILL'))
  const root = openLmdbRoot(folder, GATE_MAP_BYTES)
  await root.write(async () => {
    process.stdout.write('writing\n')
    await systemClock.sleep(WRITE_MS)
    writeFileSync(join(folder, WRITTEN), '')
  })
  await root.close()
}
