/** What a long command says meanwhile: a bar on standard error, where that is a terminal. */
export interface Progress {
  /** `done` of `total`; without a total, only what is going on is shown. */
  show(what: string, done?: number, total?: number): void
  /** Clears what is shown. */
  end(): void
}

export const silentProgress: Progress = { show: () => undefined, end: () => undefined }

interface Terminal {
  readonly columns: number
  write(text: string): void
}

const BAR_CHARS = 24
const CLEAR_LINE = '\r\u001b[2K'

export function terminalProgress(terminal: Terminal): Progress {
  let isShown = false
  return {
    show(what, done, total) {
      isShown = true
      const line = total === undefined ? `${what} …` : `${bar(done ?? 0, total)} ${what}`
      terminal.write(`${CLEAR_LINE}${line.slice(0, terminal.columns - 1)}`)
    },
    end() {
      if (isShown) terminal.write(CLEAR_LINE)
      isShown = false
    },
  }
}

function bar(done: number, total: number): string {
  const part = total === 0 ? 1 : Math.min(1, done / total)
  const full = Math.round(part * BAR_CHARS)
  return `${'█'.repeat(full)}${'░'.repeat(BAR_CHARS - full)} ${done}/${total}`
}
