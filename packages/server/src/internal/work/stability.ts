/** What `record_stability_info` keeps of samples for training with `stable_reinforce`. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Sampling from "@effect-tinker/api/Sampling"

/** A sampled sequence. @internal */
export interface Recorded {
  readonly session: string
  /** absent if the prompt has chunks that are not text */
  readonly prompt: Int32Array | undefined
  readonly tokens: Int32Array
  /** of the tokens when they were sampled */
  readonly logprobs: Float32Array
}

interface Entry extends Recorded {
  readonly bytes: number
  /** when it was sampled or last trained on, in milliseconds since the epoch */
  readonly lastUsed: number
}

// as long as the hosted service keeps them
const retention = 24 * 60 * 60 * 1000

/** The sequences that were recorded, in the order of their last use. @internal */
export class StabilityRecords {
  private readonly entries = new Map<string, Entry>()
  private readonly maxBytes: number
  private bytes = 0

  constructor(maxBytes: number = 2 ** 28) {
    this.maxBytes = maxBytes
  }

  /** Keeps the sequences of a response. Those that were not used for the longest time make room for them. */
  add(
    session: string,
    ids: ReadonlyArray<string>,
    prompt: ModelInput.ModelInput,
    sequences: ReadonlyArray<Sampling.SampledSequence>,
    now: number
  ): void {
    const text = ModelInput.isText(prompt) ? ModelInput.toTokens(prompt) : undefined
    sequences.forEach(({ logprobs, tokens }, i) => {
      if (logprobs === undefined) return
      // sequences share their prompt, but each may be the last to use it
      const bytes = tokens.byteLength + logprobs.byteLength + (text?.byteLength ?? 0)
      this.put(ids[i]!, { session, prompt: text, tokens, logprobs, bytes, lastUsed: now })
    })
    this.evict(now)
  }

  /** A sequence of a session. */
  get(session: string, id: string, now: number): Recorded | undefined {
    this.evict(now)
    const entry = this.entries.get(id)
    return entry?.session === session ? entry : undefined
  }

  /** Starts the retention of a sequence again. */
  touch(id: string, now: number): void {
    const entry = this.entries.get(id)
    if (entry === undefined) return
    this.remove(id, entry)
    this.put(id, { ...entry, lastUsed: now })
  }

  /** Drops the sequences of a session. */
  release(session: string): void {
    for (const [id, entry] of this.entries) if (entry.session === session) this.remove(id, entry)
  }

  private put(id: string, entry: Entry): void {
    this.entries.set(id, entry)
    this.bytes += entry.bytes
  }

  private remove(id: string, entry: Entry): void {
    this.entries.delete(id)
    this.bytes -= entry.bytes
  }

  private evict(now: number): void {
    for (const [id, entry] of this.entries) {
      if (this.bytes <= this.maxBytes && now - entry.lastUsed < retention) return
      this.remove(id, entry)
    }
  }
}
