/**
 * What can be said of a chart without a cluster. Each check throws with what its program printed.
 * A chart has its examples in `ci/*-values.yaml` and, in `ci/negative/`, values that must be refused,
 * the first line of each a comment `# expect: TEXT` with what the refusal must say.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { runTool } from '../services/artefacts.ts'
import type { ChartTools } from './tools.ts'

/** The oldest that the chart is for, and the newest whose schemas `kubernetes-validate` has. */
export const KUBERNETES_VERSIONS = ['1.31', '1.37']

/** Groups of resources that are not Kubernetes' own: their schemas are those of who defines them. */
const CUSTOM_GROUPS = new Set([
  'cert-manager.io',
  'gateway.networking.k8s.io',
  'keda.sh',
  'monitoring.coreos.com',
  'monitoring.googleapis.com',
  'networking.gke.io',
])
const RELEASE = 'check'

/** Resources of one rendering, as YAML documents. */
export interface Rendered {
  readonly ofKubernetes: readonly string[]
  readonly custom: readonly string[]
}

export class Chart {
  readonly #folder: string
  readonly #tools: ChartTools

  constructor(folder: string, tools: ChartTools) {
    this.#folder = folder
    this.#tools = tools
  }

  /** Names of the example values. */
  get examples(): string[] {
    return readdirSync(join(this.#folder, 'ci')).filter((name) => name.endsWith('-values.yaml'))
  }

  /** Names of the values that must be refused. */
  get negatives(): string[] {
    const names = readdirSync(join(this.#folder, 'ci', 'negative'))
    return names.filter((name) => name.endsWith('.yaml')).map((name) => join('negative', name))
  }

  pathOf(values: string): string {
    return join(this.#folder, 'ci', values)
  }

  lint(values: string): void {
    this.#helm('lint', '--strict', '--values', this.pathOf(values), this.#folder)
  }

  render(values: string, kubernetesVersion: string): Rendered {
    const output = this.#helm(
      'template',
      RELEASE,
      this.#folder,
      ...this.#with(values),
      '--kube-version',
      kubernetesVersion,
    )
    const documents = output.split(/^---$/m).filter((text) => /^kind:/m.test(text))
    const isCustom = (text: string) => CUSTOM_GROUPS.has(groupOf(text))
    return {
      ofKubernetes: documents.filter((text) => !isCustom(text)),
      custom: documents.filter(isCustom),
    }
  }

  /** Checks resources against the schemas of a version of Kubernetes, unknown fields included. */
  validate(documents: readonly string[], kubernetesVersion: string): void {
    const folder = mkdtempSync(join(tmpdir(), 'backhaul-manifests-'))
    try {
      const path = join(folder, 'rendered.yaml')
      writeFileSync(path, documents.join('---\n'))
      const options = ['--kubernetes-version', kubernetesVersion, '--strict']
      const args = ['-m', 'kubernetes_validate', ...options, path]
      const { status, stdout, stderr } = spawnSync(this.#tools.python, args, {
        encoding: 'utf8',
      })
      const lines = `${stdout}${stderr}`.split('\n')
      const passed = lines.filter((line) => line.startsWith('INFO')).length
      if (status !== 0 || passed !== documents.length) throw new Error(problemsAmong(lines))
    } finally {
      rmSync(folder, { recursive: true })
    }
  }

  /** Runs the chart's own tests; returns how many there are. */
  unittest(): number {
    const output = runTool(this.#tools.unittest, ['--strict', this.#folder])
    return Number(/^Tests:\s+(\d+) passed/m.exec(output)?.[1] ?? 0)
  }

  /** Renders values that must be refused; throws when they are not, or for another reason. */
  refuse(values: string): void {
    const [first = ''] = readFileSync(this.pathOf(values), 'utf8').split('\n')
    const expected = /^# expect: (.+)$/.exec(first)?.[1]
    if (expected === undefined)
      throw new Error(`${values} must begin with "# expect: TEXT"; found ${JSON.stringify(first)}`)
    const args = ['template', RELEASE, this.#folder, ...this.#with(values)]
    const { status, stderr } = spawnSync(this.#tools.helm, args, { encoding: 'utf8' })
    if (status === 0) throw new Error(`${basename(values)} was accepted`)
    if (!stderr.includes(expected))
      throw new Error(`${basename(values)} must be refused with ${expected}; helm said:\n${stderr}`)
  }

  #helm(...args: readonly string[]): string {
    return runTool(this.#tools.helm, args)
  }

  #with(values: string): string[] {
    return ['--values', this.pathOf(values)]
  }
}

/** The API group of a resource; empty for the core of Kubernetes. */
function groupOf(document: string): string {
  const [, group = ''] = /^apiVersion: "?([^/\s"]+)\//m.exec(document) ?? []
  return group
}

function problemsAmong(lines: readonly string[]): string {
  return lines.filter((line) => line !== '' && !line.startsWith('INFO')).join('\n')
}
