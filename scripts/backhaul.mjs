#!/usr/bin/env node
// `npx backhaul`: hands over to the Node of this project, which runs TypeScript as it stands. Plain
// JavaScript, because npm starts it with whatever Node is installed.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const pinned = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url))
const main = fileURLToPath(new URL('../batch/cli/main.ts', import.meta.url))
const child = spawn(
  existsSync(pinned) ? pinned : process.execPath,
  [main, ...process.argv.slice(2)],
  {
    stdio: 'inherit',
  },
)
// A Ctrl-C reaches both; the command ends in order, and its exit code is ours.
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => {
    if (signal === 'SIGTERM') child.kill(signal)
  })
child.on('error', (error) => {
  console.error(error.message)
  process.exitCode = 1
})
child.on('exit', (code) => (process.exitCode = code ?? 1))
