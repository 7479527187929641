/** Definitions of the custom resources that the chart makes, each from the module of who defines it. */
import { createHash } from 'node:crypto'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { goModule, keptFolder } from '../services/artefacts.ts'

interface Source {
  readonly module: string
  /** The newest that the module proxy serves. */
  readonly version: string
  /** Where the module has its definitions. */
  readonly folder: string
  readonly files: readonly string[]
}

export const DEFINITION_SOURCES: readonly Source[] = [
  {
    module: 'github.com/kedacore/keda/v2',
    version: 'v2.21.0',
    folder: 'config/crd/bases',
    files: ['keda.sh_scaledobjects.yaml', 'keda.sh_triggerauthentications.yaml'],
  },
  {
    module: 'sigs.k8s.io/gateway-api',
    version: 'v1.6.3',
    folder: 'config/crd/standard',
    files: ['gateway.networking.k8s.io_httproutes.yaml'],
  },
  {
    module: 'github.com/GoogleCloudPlatform/gke-gateway-api',
    version: 'v1.3.0',
    folder: 'config/crd',
    files: [
      'networking.gke.io_gcpbackendpolicies.yaml',
      'networking.gke.io_healthcheckpolicies.yaml',
    ],
  },
  {
    module: 'github.com/GoogleCloudPlatform/prometheus-engine',
    version: 'v0.13.0',
    folder: 'charts/operator/crds',
    files: [
      'monitoring.googleapis.com_podmonitorings.yaml',
      'monitoring.googleapis.com_rules.yaml',
    ],
  },
  {
    module: 'github.com/prometheus-operator/prometheus-operator',
    version: 'v0.85.0',
    folder: 'example/prometheus-operator-crd',
    files: [
      'monitoring.coreos.com_prometheusrules.yaml',
      'monitoring.coreos.com_servicemonitors.yaml',
    ],
  },
]

/** A folder with all of them, fetched when they are not there yet. */
export function customResourceDefinitions(): string {
  const key = createHash('sha256').update(JSON.stringify(DEFINITION_SOURCES)).digest('hex')
  const name = `custom-resources-${key.slice(0, 12)}`
  return keptFolder(name, 'fetching definitions of custom resources', (kept) => {
    for (const { module, version, folder, files } of DEFINITION_SOURCES) {
      const fetched = join(goModule(module, version), folder)
      for (const file of files) copyFileSync(join(fetched, file), join(kept, file))
    }
  })
}
