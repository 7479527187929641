/** What is proven of the image beyond what every run of the tests does. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { productionPackages } from '../../scripts/image/packages.ts'
import { runTool } from '../../scripts/services/artefacts.ts'
import { none, told } from './claims.ts'
import type { Proof } from './proof.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** The part of a bill in CycloneDX that is looked at. */
interface Bill {
  readonly components: readonly Component[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

interface Component {
  /** Name and version as published, whatever the name it is installed under. */
  readonly 'bom-ref': string
  readonly licenses?: readonly unknown[]
  readonly hashes?: readonly unknown[]
}

const sbom: Proof = {
  name: 'sbom',
  shows: 'the bill of materials (CycloneDX) names every package of the image',
  minutes: 0.1,
  run({ folder, said }) {
    const shipped = productionPackages(ROOT).map(packageAt)
    const bill = billOf(new Set(shipped))
    const path = join(folder, 'sbom.cyclonedx.json')
    writeFileSync(path, `${JSON.stringify(bill, undefined, 2)}\n`)
    said(`written to ${path}`)
    const byName = new Map(bill.components.map((component) => [component['bom-ref'], component]))
    const unnamed = shipped.filter((name) => !byName.has(name))
    const without = (field: 'hashes' | 'licenses') =>
      shipped.filter((name) => (byName.get(name)?.[field] ?? []).length === 0)
    for (const name of unnamed) said(`not named: ${name}`)
    return Promise.resolve({
      claims: [
        none('packages of the image that are not named', unnamed.length),
        none('packages of the image without a hash', without('hashes').length),
        none('packages of the image without a licence', without('licenses').length),
        told('packages of the image', shipped.length),
      ],
    })
  },
}

/**
 * npm's bill of everything that is locked, without what is not shipped. `--omit dev` of npm would leave
 * out packages of production that tools of development need too.
 */
function billOf(shipped: ReadonlySet<string>): Bill {
  const text = runTool('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'])
  const bill = JSON.parse(text) as Bill
  const [root] = bill.dependencies
  return {
    ...bill,
    components: bill.components.filter((component) => shipped.has(component['bom-ref'])),
    dependencies: bill.dependencies
      .filter((dependency) => dependency === root || shipped.has(dependency.ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((on) => shipped.has(on)) })),
  }
}

function packageAt(path: string): string {
  const text = readFileSync(join(ROOT, path, 'package.json'), 'utf8')
  const { name, version } = JSON.parse(text) as { readonly name: string; readonly version: string }
  return `${name}@${version}`
}

export const imageProofs: readonly Proof[] = [sbom]
