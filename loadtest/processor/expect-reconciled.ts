/** What every fault run ends with: the live view and the history, made from the same log, agree. */
import { expect } from 'vitest'
import type { KafkaMachine } from './kafka-machine.ts'

export async function expectReconciled(machine: KafkaMachine): Promise<void> {
  const reconciled = await machine.reconcile()
  expect(reconciled).toMatchObject({ exitCode: 0, defects: 0 })
  expect(reconciled.minutes?.compared).toBeGreaterThan(0)
  expect(reconciled.sessions?.compared).toBeGreaterThan(0)
}
