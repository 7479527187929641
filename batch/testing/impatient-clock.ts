import { ManualClock } from '../../shared/runtime/clock.ts'

/** Waiting is moving the clock, by whole milliseconds, as a wall clock goes. */
export class ImpatientClock extends ManualClock {
  override sleep(delayMs: number): Promise<void> {
    return this.advance(Math.ceil(delayMs))
  }
}
