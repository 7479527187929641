import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'

it('frames are still decoded where code may not be generated', () => {
  const module = (path: string) => JSON.stringify(join(import.meta.dirname, path))
  const script = `
    import { decodeFrame } from ${module('../frame.ts')}
    import { DEFAULT_FRAME_LIMITS as limits } from ${module('../limits.ts')}
    import { createFrameScanner } from ${module('frame-scanner.ts')}
    const frame = '{"v":1,"sentAt":5,"session":{"sessionId":"s"},"events":[{"seq":0,"type":"seekEnd","at":5}]}'
    const result = decodeFrame(new TextEncoder().encode(frame), { numbered: false, limits })
    console.log(createFrameScanner() === undefined, result.ok && result.frame.acceptedCount)`
  const run = (...flags: string[]) =>
    execFileSync(process.execPath, [...flags, '--input-type=module', '--eval', script], {
      encoding: 'utf8',
    }).trim()
  expect(run()).toBe('false 1')
  expect(run('--disallow-code-generation-from-strings')).toBe('true 1')
})
