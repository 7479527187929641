import { ManualClock } from '../../shared/runtime/clock.ts'

/** Waiting is moving the clock. */
export class ImpatientClock extends ManualClock {
  override sleep(delayMs: number): Promise<void> {
    return this.advance(delayMs)
  }
}
