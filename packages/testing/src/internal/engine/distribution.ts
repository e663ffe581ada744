/** The weights of a bigram language model, and the distribution of the next token that they give. */

/**
 * The weights of an adapter, `[size, size]`: added to the base model's logit of each next token (column) after each
 * token (row).
 *
 * @internal
 */
export interface Table {
  readonly size: number
  readonly values: Float32Array
}

/** The logits of the base model: a fixed number in [-0.5, 0.5) for each pair of tokens. */
const baseLogit = (previous: number, next: number): number => {
  let hash = Math.imul(previous + 1, 0x9e3779b1) ^ Math.imul(next + 1, 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32 - 0.5
}

/** The logprobs of all next tokens. @internal */
export const logprobsAfter = ({ size, values }: Table, previous: number, temperature = 1): Float64Array => {
  const out = new Float64Array(size)
  let max = -Infinity
  for (let next = 0; next < size; next++) {
    const logit = (baseLogit(previous, next) + values[previous * size + next]!) / temperature
    out[next] = logit
    if (logit > max) max = logit
  }
  let sum = 0
  for (let next = 0; next < size; next++) sum += Math.exp(out[next]! - max)
  const total = max + Math.log(sum)
  for (let next = 0; next < size; next++) out[next] = out[next]! - total
  return out
}

/** The distribution after one token. What it is read by is computed once. @internal */
export class Row {
  readonly logprobs: Float64Array
  private sums: Float64Array | undefined
  private order: Int32Array | undefined

  constructor(logprobs: Float64Array) {
    this.logprobs = logprobs
  }

  /** At each token, the probability of it and of all tokens below it. */
  get cumulative(): Float64Array {
    if (this.sums === undefined) {
      let sum = 0
      this.sums = this.logprobs.map((logprob) => (sum += Math.exp(logprob)))
    }
    return this.sums
  }

  /** All tokens, the most likely ones first. */
  get ranked(): Int32Array {
    const { logprobs } = this
    return (this.order ??= Int32Array.from(logprobs.keys()).sort((a, b) => logprobs[b]! - logprobs[a]! || a - b))
  }

  /** The most likely token. */
  get best(): number {
    const { logprobs } = this
    let best = 0
    for (let token = 1; token < logprobs.length; token++) if (logprobs[token]! > logprobs[best]!) best = token
    return best
  }
}

// as many as the vocabulary has by default
const maxRows = 256
// the natural one, and that of the requests
const maxTemperatures = 2

/** The distributions of weights that no longer change, at the last few temperatures. @internal */
export class Rows {
  private readonly table: Table
  private readonly known = new Map<number, Map<number, Row>>()

  constructor(table: Table) {
    this.table = table
  }

  /** The distribution after a token. */
  after(previous: number, temperature = 1): Row {
    const rows = upTo(this.known, maxTemperatures, temperature, () => new Map<number, Row>())
    return upTo(rows, maxRows, previous, () => new Row(logprobsAfter(this.table, previous, temperature)))
  }
}

/** The value of a key, which is made when it is missing. The oldest one leaves for it when there are enough. */
const upTo = <A>(values: Map<number, A>, limit: number, key: number, make: () => A): A => {
  const known = values.get(key)
  if (known !== undefined) return known
  const made = make()
  if (values.size >= limit)
    for (const oldest of values.keys()) {
      values.delete(oldest)
      break
    }
  values.set(key, made)
  return made
}
