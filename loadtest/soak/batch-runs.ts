/**
 * The batch of a soak: a run every so often, as a schedule would have it, over a copy of the log; one is
 * killed on its way when a fault asks for it, and the next goes on with what it had decided to take.
 */
import { InTurn } from '../../scripts/services/in-turn.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import type { Ended } from '../operators-commands.ts'
import type { KafkaMachine } from '../processor/kafka-machine.ts'

const EXIT = { done: 0, leased: 3 } as const

export class BatchRuns {
  readonly counts = { complete: 0, killed: 0, refused: 0, notCopied: 0 }
  /** What runs said that neither ended well nor were killed nor refused. */
  readonly failures: string[] = []
  readonly #machine: KafkaMachine
  readonly #inTurn = new InTurn()
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>

  constructor(machine: KafkaMachine, everyMs: number) {
    this.#machine = machine
    this.#running = this.#run(everyMs)
  }

  /** Begins a run and kills it after so long; one that is over by then has won. Says which. */
  async kill(afterMs: number): Promise<string> {
    return this.#inTurn.run('batch', async () => {
      if (!(await this.#copy())) return 'the log could not be copied'
      const run = this.#machine.commands.begin('batch', 'run', '--json')
      const timer = new AbortController()
      await Promise.race([run.ended, clock.sleep(afterMs, timer.signal)])
      timer.abort()
      run.kill()
      const ended = await run.ended
      if (ended.exitCode === EXIT.done) return this.#count(ended, 'it was over before')
      if (ended.stdout + ended.stderr !== '') return this.#count(ended, 'it had ended before')
      this.counts.killed += 1
      return 'killed'
    })
  }

  /** Resolves when the run that is under way is over; may be called again. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(everyMs: number): Promise<void> {
    const { signal } = this.#stopping
    for (;;) {
      await clock.sleep(everyMs, signal)
      if (signal.aborted) return
      await this.#inTurn.run('batch', async () => {
        if (await this.#copy())
          this.#count(await this.#machine.commands.backhaul('batch', 'run', '--json'), '')
      })
    }
  }

  /** Whether the reader, which is not the product, found the brokers in a state to be read. */
  async #copy(): Promise<boolean> {
    try {
      await this.#machine.copyLog()
      return true
    } catch {
      this.counts.notCopied += 1
      return false
    }
  }

  #count(ended: Ended, what: string): string {
    if (ended.exitCode === EXIT.done) this.counts.complete += 1
    else if (ended.exitCode === EXIT.leased) this.counts.refused += 1
    else this.failures.push(`exit code ${ended.exitCode}: ${ended.stderr}${ended.stdout}`)
    return what
  }
}
