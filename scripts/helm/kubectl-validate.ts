/**
 * Judges resources as an API server would, without one: those of Kubernetes by its schemas, custom
 * ones by their definitions, unknown fields and rules of a definition included.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { goTool } from '../services/artefacts.ts'
import { customResourceDefinitions } from './custom-resources.ts'

const MODULE = 'sigs.k8s.io/kubectl-validate'
const VERSION = 'v0.0.4'
/** The newest whose schemas it has. */
export const VALIDATED_KUBERNETES = '1.30'

interface Status {
  readonly status: 'Success' | 'Failure'
  readonly message?: string
}

/** Builds it when it is not there yet (some minutes); returns the program's path. */
function prepareKubectlValidate(): string {
  return join(goTool(MODULE, VERSION), 'kubectl-validate')
}

/** What is wrong with each of `resources` (YAML documents); `undefined` where nothing is. */
export function problemsOf(resources: readonly string[]): (string | undefined)[] {
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-resources-'))
  try {
    const paths = resources.map((resource, at) => {
      const path = join(folder, `${at}.yaml`)
      writeFileSync(path, resource)
      return path
    })
    const verdicts = judge(folder)
    return paths.map((path) => {
      const [verdict = { status: 'Failure', message: 'it was not judged' }] = verdicts[path] ?? []
      return verdict.status === 'Success' ? undefined : (verdict.message ?? 'no reason is given')
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function judge(folder: string): Readonly<Record<string, readonly Status[]>> {
  const schemas = ['--version', VALIDATED_KUBERNETES, '--local-crds', customResourceDefinitions()]
  const { stdout, stderr } = spawnSync(
    prepareKubectlValidate(),
    [folder, '--output', 'json', ...schemas],
    // Schemas of a cluster that this machine happens to know would go before those that are named.
    { encoding: 'utf8', env: { ...process.env, KUBECONFIG: join(folder, 'none') } },
  )
  try {
    return JSON.parse(stdout) as Record<string, readonly Status[]>
  } catch (error) {
    throw new Error(`kubectl-validate said ${stdout}${stderr}`, { cause: error })
  }
}
