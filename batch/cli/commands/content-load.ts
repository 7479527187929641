/** `content load`: a file of content metadata into the topic. */
import { contentErrors } from '../../../shared/content/content-errors.ts'
import { readContentFile } from '../../../shared/content/content-file.ts'
import { loadContent, type Loaded } from '../../../shared/content/load-content.ts'
import { TOPICS, topicSpecs } from '../../../shared/log/topics.ts'
import { type Command, EXIT } from '../command.ts'
import { countsOf, countsText, problemOf, problemText } from './content-check.ts'

export const contentLoad: Command = {
  name: 'content load',
  summary: 'put a file of content metadata into playback.content',
  about: `Reads a file of content metadata (docs/content.md), lines of JSON, and writes a record for each
content that the topic does not have as the file says; a repeat writes nothing. Contents that the file
does not name stay. A line that is wrong is named and left out, and the others are taken: then it exits
with 1. The API shows what is new within BACKHAUL_CONTENT_REFRESH_MS, the history after the next run of
the batch. With --kafka the topic is on Kafka, by the settings KAFKA_…, else in the data folder, where a
server may run beside.`,
  examples: [
    'content load content.jsonl',
    'content load new-titles.jsonl --add --dry-run',
    'content load content.jsonl --kafka --json',
  ],
  options: {
    add: {
      doc: 'Add the versions to those that are known of the content; else they take their place.',
    },
    'dry-run': { doc: 'Write nothing; say what would be done.' },
    kafka: { doc: 'Write to Kafka instead of the data folder.' },
  },
  positionals: ['file'],
  async run({ stores, signal }, given) {
    const { common } = stores.settings
    if (common.contentSource !== 'topic')
      throw contentErrors.create('CONTENT_SOURCE_NONE', {
        expected: 'BACKHAUL_CONTENT_SOURCE=topic',
        received: common.contentSource,
      })
    const file = await readContentFile(given.positional('file'))
    const isDryRun = given.flag('dry-run')
    const isKafka = given.flag('kafka')
    const log = isKafka ? await stores.kafkaLog() : await stores.log('guest')
    const specs = topicSpecs(common).filter(({ name }) => name === TOPICS.content)
    await log.ensureTopics(specs)
    const loaded = await loadContent(log, file, {
      adds: given.flag('add'),
      isDryRun,
      keptBytes: isKafka ? Infinity : Math.min(...specs.map((spec) => spec.retentionBytes)),
      signal,
    })
    const { refused, ...counts } = loaded
    const isWhole = file.badLines === 0 && refused.length === 0
    return {
      exitCode: isWhole ? EXIT.done : EXIT.failed,
      json: {
        dryRun: isDryRun,
        ...countsOf(file),
        ...counts,
        problems: file.problems.map(problemOf),
        refused: refused.map(({ code, message }) => ({ code, message })),
      },
      text: [
        ...file.problems.map(problemText),
        ...refused.map(({ message }) => message),
        countsText(file),
        loadedText(loaded, isDryRun),
      ].join('\n'),
    }
  },
}

function loadedText({ written, unchanged, deleted, rewritten }: Loaded, isDryRun: boolean): string {
  const counts = `${written} written, ${unchanged} unchanged, ${deleted} deleted`
  const again = rewritten === 0 ? '' : `, ${rewritten} written again as they are`
  return `${isDryRun ? 'would be: ' : ''}${counts}${again}`
}
