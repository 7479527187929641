/** Makes the whole process give way to others. */
import { readdirSync } from 'node:fs'
import { constants, setPriority } from 'node:os'

const TASKS = '/proc/self/task'

/**
 * Linux keeps the priority of each thread apart: those that run already are lowered one by one, and
 * later ones inherit from whoever starts them.
 */
export function giveWay(): void {
  const { PRIORITY_LOW } = constants.priority
  setPriority(PRIORITY_LOW)
  if (process.platform !== 'linux') return
  for (const task of readdirSync(TASKS)) {
    try {
      setPriority(Number(task), PRIORITY_LOW)
    } catch (cause) {
      // The thread has ended meanwhile.
      if ((cause as NodeJS.ErrnoException).code !== 'ERR_SYSTEM_ERROR') throw cause
    }
  }
}
