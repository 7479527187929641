/** Members of a group that come and go without rest, while one of them goes on. */
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import type { ProcessorProcess } from '../processor-process.ts'
import type { KafkaMachine } from './kafka-machine.ts'

/** One visitor in so many is killed instead of being stopped. */
const KILLED_OF = 3

/** Resolves to the number of visits, at least `visitsMin` and for `forMs`; each must cost no progress. */
export async function rebalanceStorm(
  machine: KafkaMachine,
  steady: ProcessorProcess,
  { visitsMin, forMs }: { readonly visitsMin: number; readonly forMs: number },
): Promise<number> {
  const untilMs = clock.monotonicMs() + forMs
  let visits = 0
  while (visits < visitsMin || clock.monotonicMs() < untilMs) {
    const visitor = await machine.start()
    visits += 1
    if (visits % KILLED_OF === 2) {
      visitor.signal('SIGKILL')
      await visitor.ended
    } else await visitor.stop()
    await steady.progresses()
  }
  return visits
}
