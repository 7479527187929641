/** Stands in for the controllers and the nodes that run a release's hooks: none of theirs runs here. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { KubernetesClient, KubernetesObject } from './kubernetes-client.ts'

const POLL_MS = 100

export type HookEnd = 'succeeds' | 'fails'

interface Played {
  readonly client: KubernetesClient
  readonly namespace: string
  readonly ends: HookEnd
}

/** Does `work`; every Job and every pod that appears in the namespace meanwhile ends as it is said. */
export async function whilePlayed<T>(played: Played, work: () => Promise<T>): Promise<T> {
  const done = new AbortController()
  const playing = play(played, done.signal)
  try {
    return await work()
  } finally {
    done.abort()
    await playing
  }
}

async function play({ client, namespace, ends }: Played, done: AbortSignal): Promise<void> {
  while (!done.aborted) {
    for (const job of await client.list('batch/v1', 'Job', namespace))
      if (!hasEnded(job)) await client.setStatus(job, namespace, endOfJob(ends))
    for (const pod of await client.list('v1', 'Pod', namespace))
      if (pod.status?.['phase'] === 'Pending')
        await client.setStatus(pod, namespace, { phase: ends === 'fails' ? 'Failed' : 'Succeeded' })
    await sleep(POLL_MS)
  }
}

function hasEnded({ status }: KubernetesObject): boolean {
  return status?.['conditions'] !== undefined
}

/** What a server demands of a Job that has ended. */
function endOfJob(ends: HookEnd): object {
  const now = new Date().toISOString()
  const condition = (type: string) => ({ type, status: 'True', lastTransitionTime: now })
  return ends === 'fails'
    ? { startTime: now, failed: 1, conditions: ['FailureTarget', 'Failed'].map(condition) }
    : {
        startTime: now,
        completionTime: now,
        succeeded: 1,
        conditions: ['SuccessCriteriaMet', 'Complete'].map(condition),
      }
}
