/**
 * Credit as a right edge, the server's side. A client may send frames up to the largest
 * `ack + creditFrames` it was ever told (the welcome counts as ack −1), and bytes up to the largest
 * `bytes of frames ≤ ack + creditBytes`. A told edge is never withdrawn: to slow a client down, the
 * edge stops while the acknowledgements go on.
 */
export interface CreditWindow {
  readonly frames: number
  readonly bytes: number
}

export class Credit {
  readonly #window: CreditWindow
  /** Position in bytes behind each frame in flight, by frame number modulo the window. */
  #endBytes: number[] = []
  #ack = -1
  #ackBytes = 0
  #sentBytes = 0
  #edgeFrame: number
  #edgeBytes: number

  constructor(window: CreditWindow) {
    this.#window = window
    this.#edgeFrame = window.frames - 1
    this.#edgeBytes = window.bytes
  }

  /** Whether frame `frame` of `bytes` bytes, the next one, lies within the edges told. */
  allows(frame: number, bytes: number): boolean {
    return frame <= this.#edgeFrame && this.#sentBytes + bytes <= this.#edgeBytes
  }

  /** Whether `frame` lies within the frames told, whatever its size. */
  allowsFrame(frame: number): boolean {
    return frame <= this.#edgeFrame
  }

  /** Frame `frame`, the next one, has come. */
  received(frame: number, bytes: number): void {
    this.#sentBytes += bytes
    this.#endBytes[frame % this.#window.frames] = this.#sentBytes
  }

  /** `frame`, not yet acknowledged, and all after it will be sent again. */
  rewindTo(frame: number): void {
    this.#sentBytes = frame - 1 === this.#ack ? this.#ackBytes : this.#endOf(frame - 1)
  }

  /** Every frame ≤ `frame` is done; with `grants` the edges move along, else they stay. */
  acknowledge(frame: number, grants: boolean): void {
    if (frame > this.#ack) {
      this.#ackBytes = this.#endOf(frame)
      this.#ack = frame
    }
    if (!grants) return
    this.#edgeFrame = Math.max(this.#edgeFrame, frame + this.#window.frames)
    this.#edgeBytes = Math.max(this.#edgeBytes, this.#ackBytes + this.#window.bytes)
  }

  /** Forgets what only frames in flight need; there are none. */
  rest(): void {
    this.#endBytes = []
  }

  /** What to tell beside the acknowledgement, so that the client finds the same edges. */
  get framesLeft(): number {
    return this.#edgeFrame - this.#ack
  }

  get bytesLeft(): number {
    return this.#edgeBytes - this.#ackBytes
  }

  /** Whether an edge stands nearer than a full window: acknowledged while credit was held back. */
  get isHeldBack(): boolean {
    return this.framesLeft < this.#window.frames || this.bytesLeft < this.#window.bytes
  }

  #endOf(frame: number): number {
    return this.#endBytes[frame % this.#window.frames] ?? 0
  }
}
