/** Processes that kill themselves at a step, and those who watch them. */
import { spawn } from 'node:child_process'
import type { Failpoints } from '../../shared/runtime/failpoints.ts'

/** Kills this process when it passes the failpoint for the `passing`-th time. */
export function killAt(failpoint: string | undefined, passing: number): Failpoints {
  let left = passing
  return {
    hit(name) {
      if (name !== failpoint) return
      left -= 1
      if (left === 0) process.kill(process.pid, 'SIGKILL')
    },
  }
}

export interface Ended {
  readonly killed: boolean
  /** What it wrote to its standard output. */
  readonly outcome: string
}

/** Runs a script with its arguments in a process of its own; rejects when it fails by itself. */
export function runToItsEnd(args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let outcome = ''
  let problems = ''
  child.stdout.on('data', (chunk: Buffer) => (outcome += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (problems += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code !== 0 && signal !== 'SIGKILL') reject(new Error(problems))
      else resolve({ killed: signal === 'SIGKILL', outcome })
    })
  })
}
