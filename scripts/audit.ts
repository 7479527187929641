/**
 * `npm run audit`: whether a dependency of the product is known to be vulnerable, as the registry tells
 * by `npm audit`. A registry need not tell (mirrors do not): then nothing was audited, which is said
 * and is no failure; a finding is, everywhere.
 */
import { spawnSync } from 'node:child_process'
import { auditVerdict } from './audit/verdict.ts'

const { stdout, stderr, error } = spawnSync(
  'npm',
  ['audit', '--json', '--omit=dev', '--audit-level=high'],
  { encoding: 'utf8' },
)
const { ok, text } = auditVerdict(error === undefined ? stdout : '', error?.message ?? stderr)
console.log(text)
process.exitCode = ok ? 0 : 1
