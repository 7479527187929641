/** What `init gcp` finds and does, resource by resource. */

export interface InitStep {
  /** Such as `gs://bucket`. */
  readonly resource: string
  /**
   * `present`: as it should be; `created`, `changed`: done now, or what would be done in a dry run;
   * `notKept`: the API took the change and does not show it.
   */
  readonly state: 'present' | 'created' | 'changed' | 'notKept'
  /** What it is about, for people. */
  readonly what: string
}

export interface InitOptions {
  readonly isDryRun: boolean
  /** Where resources are made that do not exist. */
  readonly project: string | undefined
  /** Where they are or should be; not looked at when absent and they exist. */
  readonly location: string | undefined
  /** Where what does not exist is made when nothing was said. */
  readonly locationIfMade: string
}

/** Labels of whatever is made here. */
export const LABELS: Readonly<Record<string, string>> = { app: 'backhaul' }

export function stepText({ resource, state, what }: InitStep, isDryRun: boolean): string {
  const words = {
    present: 'is there',
    created: isDryRun ? 'would be created' : 'created',
    changed: isDryRun ? 'would be changed' : 'changed',
    notKept: 'NOT KEPT by the server',
  }
  return `${resource}: ${what}: ${words[state]}`
}
