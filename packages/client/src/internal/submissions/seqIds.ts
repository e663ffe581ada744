/** What a training client knows of the sequence numbers that it has sent. */
import * as Training from "@effect-tinker/api/Training"

/**
 * A refused request counts as used. It may have been refused before the service looked at its number, and the service
 * would wait for that one: later requests name it, where the service reads that.
 *
 * @internal
 */
export class SeqIds {
  /** of the last request that was accepted */
  lastAccepted = 0
  private refusedIds: ReadonlyArray<number> = []
  private readonly namesRefused: boolean

  constructor(namesRefused: boolean) {
    this.namesRefused = namesRefused
  }

  /** those that a request names: refused ones before it that no accepted request has named yet */
  refusedBefore(seqId: number): ReadonlyArray<number> {
    return this.refusedIds.filter((refused) => refused < seqId)
  }

  noteRefused(seqId: number): void {
    if (this.namesRefused) this.refusedIds = [...this.refusedIds, seqId].slice(-Training.maxRefusedSeqIds)
  }

  /** Notes a request that was accepted, and had named these. */
  noteAccepted(seqId: number, named: ReadonlyArray<number>): void {
    this.lastAccepted = Math.max(this.lastAccepted, seqId)
    if (named.length > 0) this.refusedIds = this.refusedIds.filter((refused) => !named.includes(refused))
  }

  /** The headers of a request that names refused numbers. */
  static headersFor(named: ReadonlyArray<number>): { readonly [name: string]: string } {
    return named.length === 0 ? {} : { [Training.refusedSeqIdsHeader]: named.join(",") }
  }
}
