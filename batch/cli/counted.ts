/** How many of something, in words: `1 day`, `2 days`. The noun's plural is by an `s`. */
export function counted(count: number, noun: string): string {
  return `${count} ${count === 1 ? noun : `${noun}s`}`
}
