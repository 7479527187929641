/** Above this the sum in a number moves into the bigint; one addition is below 2^51. */
export const CARRY_ABOVE = 2 ** 52

/** An exact sum that may pass 2^53, without the cost of a bigint at every addition. */
export class CarryingSum {
  #low = 0
  #high: bigint

  constructor(start = 0n) {
    this.#high = start
  }

  /** `amount` is an integer from 0 to 2^51. */
  add(amount: number): void {
    this.#low += amount
    if (this.#low <= CARRY_ABOVE) return
    this.#high += BigInt(this.#low)
    this.#low = 0
  }

  get total(): bigint {
    return this.#high + BigInt(this.#low)
  }
}
