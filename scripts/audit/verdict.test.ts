import { expect, test } from 'vitest'
import { auditVerdict } from './verdict.ts'

const report = (vulnerabilities: Record<string, { severity: string; range: string }>) =>
  JSON.stringify({ vulnerabilities, metadata: { dependencies: { prod: 80 } } })

test('findings below high are told of by nobody, as npm is asked', () => {
  const answer = report({ a: { severity: 'moderate', range: '<2' } })
  expect(auditVerdict(answer, '')).toEqual({
    ok: true,
    text: '80 packages audited, none vulnerable of high severity',
  })
})

test('a finding of high or critical severity fails, and is named', () => {
  const answer = report({
    a: { severity: 'high', range: '<2' },
    b: { severity: 'critical', range: '>=1 <3' },
    c: { severity: 'low', range: '*' },
  })
  expect(auditVerdict(answer, '')).toEqual({
    ok: false,
    text: '80 packages audited, vulnerable: a <2 (high), b >=1 <3 (critical)',
  })
})

test.each([
  [
    '{"message":"request to https://mirror.example/-/npm/v1/security failed","error":{"code":"ENOAUDIT"}}',
    'ENOAUDIT',
  ],
  [
    '{"message":"404 Not Found - POST https://mirror.example/-/npm/v1/security/audits"}',
    '404 Not Found - POST the registry',
  ],
  ['', 'npm error'],
  ['<html>', 'npm error'],
])('an answer without a report is no audit, and says why: %s', (output, reason) => {
  expect(auditVerdict(output, 'npm error\nand more')).toEqual({
    ok: true,
    text: `not run: ${reason}`,
  })
})
