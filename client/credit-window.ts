/**
 * One connection's numbering and credit. Frames count from 0 without gaps; what is in flight is
 * always the run `ack + 1 … nextFrame − 1`, so a number is derived and never stored.
 *
 * Credit is a right edge: frames up to the largest `ack + creditFrames` ever told may be sent
 * (the welcome counts as ack −1), and bytes up to the largest `bytes of frames ≤ ack +
 * creditBytes`. An edge never moves back.
 */
export class CreditWindow {
  #ack = -1
  #ackedBytes = 0
  /** Bytes of each frame in flight, lowest number first. */
  readonly #inFlight: number[] = []
  #inFlightBytes = 0
  #edgeFrame = -1
  #edgeBytes = 0
  #creditBytes = 0

  /** Number of the next frame to be sent. */
  get nextFrame(): number {
    return this.#ack + 1 + this.#inFlight.length
  }

  get inFlightFrames(): number {
    return this.#inFlight.length
  }

  /** Where in the run of unacknowledged frames `frame` stands; `undefined` when it is not in flight. */
  indexOf(frame: number): number | undefined {
    const index = frame - this.#ack - 1
    return index >= 0 && index < this.#inFlight.length ? index : undefined
  }

  /**
   * Credit told with `ack`, after `acknowledge(ack)`; without bytes, those last told hold. Credit
   * beside an older acknowledgement grants nothing: its bytes can no longer be placed.
   */
  grant(ack: number, creditFrames: number, creditBytes: number | undefined): void {
    if (ack < this.#ack) return
    this.#creditBytes = creditBytes ?? this.#creditBytes
    this.#edgeFrame = Math.max(this.#edgeFrame, ack + creditFrames)
    this.#edgeBytes = Math.max(this.#edgeBytes, this.#ackedBytes + this.#creditBytes)
  }

  mayTransmit(frameBytes: number): boolean {
    return (
      this.nextFrame <= this.#edgeFrame &&
      this.#ackedBytes + this.#inFlightBytes + frameBytes <= this.#edgeBytes
    )
  }

  transmitted(frameBytes: number): void {
    this.#inFlight.push(frameBytes)
    this.#inFlightBytes += frameBytes
  }

  /**
   * Every frame ≤ `ack` is done. Returns how many that newly finishes, 0 for an older
   * acknowledgement, `undefined` when a frame is acknowledged that was never sent.
   */
  acknowledge(ack: number): number | undefined {
    if (ack >= this.nextFrame) return undefined
    const finished = Math.max(0, ack - this.#ack)
    for (const bytes of this.#inFlight.splice(0, finished)) {
      this.#ackedBytes += bytes
      this.#inFlightBytes -= bytes
    }
    this.#ack += finished
    return finished
  }

  /**
   * The server discards everything from `frame` on until it comes again. Returns how many frames
   * are to be sent again, `undefined` when `frame` is acknowledged already or was never sent.
   */
  rewindTo(frame: number): number | undefined {
    if (frame <= this.#ack || frame > this.nextFrame) return undefined
    const rewound = this.#inFlight.splice(frame - this.#ack - 1)
    for (const bytes of rewound) this.#inFlightBytes -= bytes
    return rewound.length
  }
}
