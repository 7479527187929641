/** `npx backhaul`: the operators' commands, beside a running server or without one. */
import { runCommandProcess } from './command-process.ts'
import { commands } from './commands.ts'

await runCommandProcess({
  commands,
  environment: process.env,
  output: (text) => console.log(text),
  errors: (text) => console.error(text),
})
