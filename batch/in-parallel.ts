/**
 * Does `work` for every item, for at most `workers` of them at a time; the results are in the order of
 * the items. After a failure no further item is begun, and the first failure is thrown once those that
 * were begun have ended.
 */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  workers: number,
  work: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const waiting = [...items.entries()]
  const results: Result[] = []
  const worker = async () => {
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [index, item] = next
        results[index] = await work(item, index)
      }
    } catch (error) {
      waiting.length = 0
      throw error
    }
  }
  const begun = Array.from({ length: Math.min(workers, items.length) }, worker)
  for (const ended of await Promise.allSettled(begun))
    if (ended.status === 'rejected') throw ended.reason
  return results
}
