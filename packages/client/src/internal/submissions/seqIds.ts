/** What a training client knows of the sequence numbers that it has sent. */
import * as Training from "@effect-tinker/api/Training"

/** A number that requests name. */
interface Named {
  readonly seqId: number
  /** the first request that names it */
  from: number
}

/**
 * A refused request counts as used. It may have been refused before the service looked at its number, and the service
 * would wait for that one: later requests name it, where the service reads that.
 *
 * @internal
 */
export class SeqIds {
  /** of the last request that was accepted */
  lastAccepted = 0
  private named: ReadonlyArray<Named> = []
  private readonly namesRefused: boolean

  constructor(namesRefused: boolean) {
    this.namesRefused = namesRefused
  }

  /** those that a request names: refused ones before it that no accepted request has named yet */
  refusedBefore(seqId: number): ReadonlyArray<number> {
    return this.named.filter((one) => one.seqId < seqId && one.from <= seqId).map((one) => one.seqId)
  }

  /** Notes a number to be named, by the requests from a number on. */
  noteRefused(seqId: number, from = 0): void {
    if (!this.namesRefused) return
    const others = this.named.filter((one) => one.seqId !== seqId)
    this.named = [...others, { seqId, from }].slice(-Training.maxRefusedSeqIds)
  }

  /** The numbers of the requests that are still to come have moved. */
  moveLater(by: number): void {
    for (const one of this.named) one.from += by
  }

  /** Notes a request that was accepted, and had named these. */
  noteAccepted(seqId: number, named: ReadonlyArray<number>): void {
    this.lastAccepted = Math.max(this.lastAccepted, seqId)
    if (named.length > 0) this.named = this.named.filter((one) => !named.includes(one.seqId))
  }

  /** The headers of a request that names refused numbers. */
  static headersFor(named: ReadonlyArray<number>): { readonly [name: string]: string } {
    return named.length === 0 ? {} : { [Training.refusedSeqIdsHeader]: named.join(",") }
  }
}
