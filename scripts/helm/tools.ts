/**
 * The programs that judge a Helm chart: kept outside the work tree like the services. helm is built,
 * since no package registry has it prebuilt and kept up.
 */
import { join } from 'node:path'
import { goTools, pythonPackages } from '../services/artefacts.ts'

const GO_MODULE = join(import.meta.dirname, 'chart-tools')
const REQUIREMENTS = join(import.meta.dirname, 'kubernetes-validate', 'requirements.txt')

export interface ChartTools {
  readonly helm: string
  readonly unittest: string
  /** A Python that has `kubernetes_validate`. */
  readonly python: string
}

/** Builds and fetches what is not there yet (some minutes); returns the programs' paths. */
export function prepareChartTools(): ChartTools {
  const built = goTools(GO_MODULE)
  const packages = pythonPackages(REQUIREMENTS)
  return {
    helm: join(built, 'helm'),
    unittest: join(built, 'helm-unittest'),
    python: join(packages, 'bin', 'python'),
  }
}
