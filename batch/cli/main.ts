/** `npx backhaul`: the operators' commands, beside a running server or without one. */
import { commands } from './commands.ts'
import { runMain } from './run-main.ts'

runMain({
  commands,
  environment: process.env,
  output: (text) => console.log(text),
  errors: (text) => console.error(text),
})
