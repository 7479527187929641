/**
 * The dashboard's files, held in memory. Its scripts are TypeScript modules without a build step:
 * their types are blanked out once at start, and the browser loads the modules as they stand in
 * the folder. Nothing outside the listed files can be reached.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire, stripTypeScriptTypes } from 'node:module'
import { extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Answer } from '../shared/http/guarded-response.ts'

export interface StaticFiles {
  /** The answer for a path, or `undefined` when no file has it. */
  answer(path: string, request: StaticRequest): Answer | undefined
}

export interface StaticRequest {
  readonly ifNoneMatch: string
  readonly acceptsGzip: boolean
}

interface StaticFile {
  readonly bytes: Uint8Array
  readonly gzipped: Uint8Array
  readonly contentType: string
  readonly etag: string
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.ts': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Only what the page itself brings may run or be loaded, and nobody may frame it. */
const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
}

/** Reads `folder` (the dashboard) and uPlot's two files. */
export async function loadStaticFiles(folder: string): Promise<StaticFiles> {
  const files = new Map<string, StaticFile>()
  for (const name of await readdir(folder)) {
    const type = CONTENT_TYPES[extname(name)]
    if (type === undefined || name.endsWith('.test.ts') || name.endsWith('.d.ts')) continue
    const bytes = await readFile(join(folder, name))
    const served = name.endsWith('.ts') ? Buffer.from(withoutTypes(bytes.toString())) : bytes
    files.set(name === 'index.html' ? '/' : `/assets/${name}`, toStaticFile(served, type))
  }
  const uplotFolder = join(createRequire(import.meta.url).resolve('uplot'), '..')
  for (const [path, name, type] of [
    ['/assets/uplot.js', 'uPlot.esm.js', '.js'],
    ['/assets/uplot.css', 'uPlot.min.css', '.css'],
  ] as const)
    files.set(
      path,
      toStaticFile(await readFile(join(uplotFolder, name)), CONTENT_TYPES[type] ?? ''),
    )
  return { answer: (path, request) => answerFile(files.get(path), request) }
}

function toStaticFile(bytes: Uint8Array, contentType: string): StaticFile {
  const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
  return { bytes, gzipped: gzipSync(bytes), contentType, etag }
}

function answerFile(file: StaticFile | undefined, request: StaticRequest): Answer | undefined {
  if (file === undefined) return undefined
  const headers = { etag: file.etag, 'cache-control': 'no-cache', vary: 'accept-encoding' }
  if (request.ifNoneMatch === file.etag) return { status: 304, headers }
  return {
    status: 200,
    headers: {
      ...PAGE_HEADERS,
      ...headers,
      'content-type': file.contentType,
      ...(request.acceptsGzip ? { 'content-encoding': 'gzip' } : {}),
    },
    body: request.acceptsGzip ? file.gzipped : file.bytes,
  }
}

/**
 * Blanks the types out of a module. Node strips types when it runs a file without a word, but
 * announces the function that does the same to a string as experimental on standard error; the
 * exact version of Node is pinned, so the announcement says nothing and is held back.
 */
function withoutTypes(source: string): string {
  const announce = process.emitWarning
  process.emitWarning = () => undefined
  try {
    return stripTypeScriptTypes(source, { mode: 'strip' })
  } finally {
    process.emitWarning = announce
  }
}
