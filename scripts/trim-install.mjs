// Keeps the install light: two packages carry files for every platform (OpenSSL headers of each
// architecture, uWebSockets.js binaries of each system and ABI). What this machine cannot use is
// removed. Plain JavaScript, because npm runs it with whatever Node started the install.
import { readdirSync, rmSync, existsSync } from 'node:fs'
import { join } from 'node:path'

/** ABI of Node 22, which runs everything here whatever Node started npm. */
const NODE_ABI = '127'

const runtime = join('node_modules', 'node', 'node_modules')
if (existsSync(runtime))
  for (const name of readdirSync(runtime))
    if (name.startsWith('node-'))
      rmSync(join(runtime, name, 'include'), { recursive: true, force: true })

const sockets = join('node_modules', 'uWebSockets.js', 'dist', 'bin')
const wanted = `uws_${process.platform}_${process.arch}_${NODE_ABI}.node`
if (existsSync(join(sockets, wanted)))
  for (const name of readdirSync(sockets))
    if (name.endsWith('.node') && name !== wanted) rmSync(join(sockets, name))
