/** Content metadata of a file that may be written anew at any time. */
import { BackhaulError } from '../runtime/errors.ts'
import { Catalogue } from './catalogue.ts'
import { contentErrors } from './content-errors.ts'
import { fileSignature, readContentFile } from './content-file.ts'
import type { ContentSource } from './content-source.ts'

export class FileContentSource implements ContentSource {
  readonly #path: string
  #catalogue = new Catalogue()
  #signature: string | undefined
  /** What is wrong with the file as it is, which is not read again for that. */
  #failure: BackhaulError | undefined

  constructor(path: string) {
    this.#path = path
  }

  get catalogue(): Catalogue {
    return this.#catalogue
  }

  async refresh(onRefused: (error: BackhaulError) => void): Promise<void> {
    const signature = await fileSignature(this.#path)
    if (signature === this.#signature) {
      if (this.#failure !== undefined) throw this.#failure
      return
    }
    this.#failure = undefined
    try {
      await this.#read(onRefused)
    } catch (error) {
      if (error instanceof BackhaulError) this.#failure = error
      throw error
    } finally {
      // As it was before the reading: a change meanwhile is another signature.
      this.#signature = signature
    }
  }

  async #read(onRefused: (error: BackhaulError) => void): Promise<void> {
    const { contents, problems } = await readContentFile(this.#path)
    for (const { error } of problems) onRefused(error)
    const catalogue = new Catalogue()
    for (const content of contents)
      if (catalogue.put(content) === 'full')
        onRefused(contentErrors.create('CONTENT_TOO_MANY', { received: content.contentId }))
    this.#catalogue = catalogue
  }
}
