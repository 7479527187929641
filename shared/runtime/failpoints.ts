/**
 * Named places where a test can make the product fail. Compiled into the product, off unless a
 * test arms one by name; an unarmed failpoint costs one property read.
 */
export type FailpointName =
  | 'gateway.afterFrame'
  | 'gateway.afterValidation'
  | 'gateway.beforeAppend'
  | 'gateway.afterAppend'
  | 'gateway.afterAcknowledge'
  | 'log.beforeCommit'
  | 'log.afterCommit'
  | 'processor.afterFetch'
  | 'processor.afterFold'
  | 'processor.afterSomeRows'
  | 'processor.afterRows'
  | 'processor.afterCheckpoint'
  | 'processor.afterOffsetCommit'
  | 'alerts.afterJudge'
  | 'alerts.afterState'
  | 'alerts.afterTopic'
  | 'alerts.afterWebhook'
  | 'alerts.afterDelivery'
  | 'warehouse.afterFiles'
  | 'warehouse.afterManifest'
  | 'batch.afterCut'
  | 'batch.afterSomeRawFiles'
  | 'batch.afterSomeParts'
  | 'batch.afterRawFiles'
  | 'batch.afterManifest'
  | 'batch.afterFlatten'
  | 'batch.afterSomeLoads'
  | 'batch.afterLoads'
  | 'batch.afterSomeInserts'
  | 'batch.afterMerge'
  | 'batch.afterSomeFacts'
  | 'batch.afterFacts'
  | 'batch.afterQuality'
  | 'batch.afterLedger'
  | 'batch.afterReport'
  | 'batch.afterControlRows'
  | 'batch.afterLateInserts'
  | 'batch.afterLateFacts'
  | 'batch.afterLateSettled'
  | 'erase.afterRecord'
  | 'erase.afterPlan'
  | 'erase.afterSomeRawFiles'
  | 'erase.afterLedger'
  | 'erase.afterSomeOldFiles'
  | 'erase.afterSomeTables'
  | 'erase.afterSomeLiveRows'
  | 'erase.afterSomeStagingFiles'
  | 'erase.afterProof'
  | 'compact.afterPlan'
  | 'compact.afterSomeFiles'
  | 'compact.afterLedger'
  | 'compact.afterSomeDeletions'

export interface Failpoints {
  /** Runs what is armed under `name`, if anything; it may throw, delay or end the process. */
  hit(name: FailpointName): Promise<void> | void
}

export const noFailpoints: Failpoints = { hit: () => undefined }

/** Failpoints of a test: `arm` sets or clears an action. */
export class ArmedFailpoints implements Failpoints {
  readonly #actions = new Map<FailpointName, () => Promise<void> | void>()

  arm(name: FailpointName, action: (() => Promise<void> | void) | undefined): void {
    if (action === undefined) this.#actions.delete(name)
    else this.#actions.set(name, action)
  }

  hit(name: FailpointName): Promise<void> | void {
    return this.#actions.get(name)?.()
  }
}
