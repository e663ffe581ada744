/** Markers for the sizes in which programs of a family differ. */
import type { ModelConfig } from "../../ModelConfig.ts"

const primes = [29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127]

/**
 * Three primes that divide no size of a model. A model of more than twenty large prime factors does not exist: the largest
 * vocabularies have six.
 *
 * @internal
 */
export const markersFor = (config: ModelConfig): readonly [number, number, number] => {
  const { head_dim, hidden_size, intermediate_size, num_heads, num_kv_heads, vocab_size } = config
  const sizes = [head_dim, hidden_size, intermediate_size, num_heads, num_kv_heads, vocab_size]
  const [first, second, third] = primes.filter((prime) => sizes.every((size) => size % prime !== 0))
  return [first!, second!, third!]
}

/** For what rank programs with adapters are lowered. @internal */
export const typicalRank = 16

/** What programs with `deterministic` are lowered for. @internal */
export const manyRows = 64

/**
 * Programs of different classes are lowered differently: products of few rows take the other matrix first, which is
 * faster, and rounds differently. With `deterministic`, all are lowered alike.
 *
 * @internal
 */
export const rowsClass = (rows: number, deterministic: boolean): string =>
  deterministic ? "any" : rows < 4 ? "single" : rows <= 16 ? "few" : "many"
