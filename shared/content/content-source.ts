/** Where content metadata comes from: a file, or `playback.content`. */
import type { EventLog } from '../log/event-log.ts'
import type { BackhaulConfig } from '../runtime/settings.ts'
import type { BackhaulError } from '../runtime/errors.ts'
import type { Catalogue } from './catalogue.ts'
import { FileContentSource } from './file-content-source.ts'
import { TopicContentSource } from './topic-content-source.ts'

/**
 * Whoever reads it calls `refresh`, one call at a time, when it wants to know what is new: at
 * intervals to serve, once a run in the batch. When it throws, the catalogue is the last good one.
 */
export interface ContentSource {
  /** Empty before the first refresh; another object once all of it was read anew. */
  readonly catalogue: Catalogue
  /**
   * Takes what is new. Throws `CONTENT_FILE_…`, what the log throws, or what `signal` aborts with.
   * What is wrong with single lines or records is told to `onRefused`, once for each time it is read.
   */
  refresh(onRefused: (error: BackhaulError) => void, signal?: AbortSignal): Promise<void>
}

/** The source that the settings name; `undefined` where none is. */
export function contentSourceOf(
  { contentSource, contentFile }: Pick<BackhaulConfig, 'contentSource' | 'contentFile'>,
  log: Pick<EventLog, 'describeTopic' | 'offsets' | 'read'>,
): ContentSource | undefined {
  switch (contentSource) {
    case 'none':
      return undefined
    case 'file':
      return new FileContentSource(contentFile)
    case 'topic':
      return new TopicContentSource(log)
  }
}
