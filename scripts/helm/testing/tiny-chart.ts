/** A chart of one ConfigMap that its values name, to be spoilt in each way that a check must see. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const FILES: Readonly<Record<string, string>> = {
  'Chart.yaml': 'apiVersion: v2\nname: tiny\nversion: 1.0.0\nicon: https://example.org/icon.svg\n',
  'values.yaml': 'title: plain\n',
  'values.schema.json': JSON.stringify({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    properties: { title: { type: 'string' } },
  }),
  'templates/title.yaml': `apiVersion: v1
kind: ConfigMap
metadata:
  name: title
data:
  title: {{ required "a title is required" .Values.title | quote }}
`,
  'tests/title_test.yaml': `suite: title
templates: [title.yaml]
tests:
  - it: is as the values say
    set: { title: mine }
    asserts:
      - equal: { path: data.title, value: mine }
`,
  'ci/plain-values.yaml': 'title: other\n',
  'ci/negative/no-title.yaml': '# expect: a title is required\ntitle: ""\n',
}

export class TinyChart {
  readonly folder = mkdtempSync(join(tmpdir(), 'backhaul-tiny-chart-'))

  constructor() {
    for (const [path, text] of Object.entries(FILES)) this.write(path, text)
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true })
    writeFileSync(join(this.folder, path), text)
  }

  /** Writes a file anew, one text in it replaced. */
  spoil(path: string, text: string, by: string): void {
    const whole = FILES[path] ?? ''
    if (!whole.includes(text)) throw new Error(`${path} of the chart has no ${text}`)
    this.write(path, whole.replace(text, by))
  }

  remove(): void {
    rmSync(this.folder, { recursive: true })
  }
}
