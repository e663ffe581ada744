/** The regularizers of one datum: values and derivatives by its logprobs. */

/** @internal */
export interface Term {
  readonly value: number
  readonly gradient: Float64Array
}

type Vector = ArrayLike<number>

const map = (x: Vector, f: (value: number, i: number) => number): Float64Array => Float64Array.from(x, f)

const sum = (x: Vector): number => {
  let total = 0
  for (let i = 0; i < x.length; i++) total += x[i]!
  return total
}

const dot = (a: Vector, b: Vector): number => sum(map(a, (value, i) => value * b[i]!))

const norm = (x: Vector): number => Math.sqrt(dot(x, x))

/** `λ Σ |x|` @internal */
export const l1 =
  (lambda: number) =>
  (x: Vector): Term => ({ value: lambda * sum(map(x, Math.abs)), gradient: map(x, (v) => lambda * Math.sign(v)) })

/** `λ Σ clip(x - c)²` @internal */
export const l2 =
  (lambda: number, center: number | "mean", clip: number) =>
  (x: Vector): Term => {
    const c = center === "mean" ? sum(x) / Math.max(1, x.length) : center
    const clipped = map(x, (v) => Math.max(-clip, Math.min(clip, v - c)))
    const slopes = map(clipped, (v) => (Math.abs(v) < clip ? 2 * lambda * v : 0))
    // the mean moves with each value
    const shared = center === "mean" ? sum(slopes) / Math.max(1, x.length) : 0
    return { value: lambda * dot(clipped, clipped), gradient: map(slopes, (v) => v - shared) }
  }

/** `λ (α Σ |x| + (1 - α) Σ x²)` @internal */
export const elasticNet =
  (lambda: number, share: number) =>
  (x: Vector): Term => ({
    value: lambda * (share * sum(map(x, Math.abs)) + (1 - share) * dot(x, x)),
    gradient: map(x, (v) => lambda * (share * Math.sign(v) + 2 * (1 - share) * v))
  })

/** Logprobs below this count for nothing in an entropy. */
const lowest = -50

const plainEntropy = (x: Vector): Term => {
  const kept = map(x, (v) => (v > lowest ? Math.exp(v) : 0))
  return { value: -dot(kept, x), gradient: map(x, (v, i) => -kept[i]! * (v + 1)) }
}

const softmaxEntropy = (x: Vector, temperature: number): Term => {
  const scaled = map(x, (v) => v / temperature)
  const peak = Math.max(...scaled)
  const total = peak + Math.log(sum(map(scaled, (v) => Math.exp(v - peak))))
  const logp = map(scaled, (v) => v - total)
  const p = map(logp, (v) => (v > lowest ? Math.exp(v) : 0))
  const value = -dot(p, logp)
  return { value, gradient: map(logp, (v, i) => (-p[i]! * (v + value)) / temperature) }
}

/** `±H`, by `ln n` if it is normalized @internal */
export const entropy =
  (sign: 1 | -1, temperature: number, isNormalized: boolean) =>
  (x: Vector): Term => {
    const { gradient, value } = temperature === 1 ? plainEntropy(x) : softmaxEntropy(x, temperature)
    const scale = sign / (isNormalized ? Math.log(Math.max(2, x.length)) : 1)
    return { value: scale * value, gradient: map(gradient, (v) => scale * v) }
  }

const farthest = 100
const least = 1e-10

/** `Σ exp(a) clip(a - b)`, with derivatives by both. */
const divergence = (a: Vector, b: Vector): { value: number; byA: Float64Array; byB: Float64Array } => {
  const byA = new Float64Array(a.length)
  const byB = new Float64Array(a.length)
  let value = 0
  for (let i = 0; i < a.length; i++) {
    const p = Math.exp(a[i]!)
    if (p <= least) continue
    const difference = a[i]! - b[i]!
    const clipped = Math.max(-farthest, Math.min(farthest, difference))
    const slope = clipped === difference ? p : 0
    value += p * clipped
    byA[i] = p * clipped + slope
    byB[i] = -slope
  }
  return { value, byA, byB }
}

/** @internal */
export const kl =
  (direction: "forward" | "reverse" | "symmetric") =>
  (x: Vector, reference: Vector): Term => {
    const forward = divergence(x, reference)
    const reverse = divergence(reference, x)
    if (direction === "forward") return { value: forward.value, gradient: forward.byA }
    if (direction === "reverse") return { value: reverse.value, gradient: reverse.byB }
    return {
      value: (forward.value + reverse.value) / 2,
      gradient: map(x, (_, i) => (forward.byA[i]! + reverse.byB[i]!) / 2)
    }
  }

const cosine = (x: Vector, other: Vector): Term => {
  const [a, b] = [Math.max(norm(x), 1e-8), Math.max(norm(other), 1e-8)]
  const similarity = dot(x, other) / (a * b)
  return { value: 1 - similarity, gradient: map(x, (v, i) => (similarity * v) / a ** 2 - other[i]! / (a * b)) }
}

/** @internal */
export const consistency =
  (metric: "mse" | "l1" | "cosine" | "kl") =>
  (x: Vector, other: Vector): Term => {
    if (metric === "kl") return kl("symmetric")(x, other)
    if (metric === "cosine") return cosine(x, other)
    const n = Math.max(1, x.length)
    const difference = map(x, (v, i) => v - other[i]!)
    return metric === "mse"
      ? { value: dot(difference, difference) / n, gradient: map(difference, (v) => (2 * v) / n) }
      : { value: sum(map(difference, Math.abs)) / n, gradient: map(difference, (v) => Math.sign(v) / n) }
  }

/** Rows of a matrix, each divided by its norm. */
const unitRows = (x: Vector, width: number) =>
  Array.from({ length: x.length / width }, (_, row) => {
    const values = map({ length: width }, (_, i) => x[row * width + i]!)
    const length = Math.max(norm(values), 1e-12)
    return { length, unit: map(values, (v) => v / length) }
  })

/** How far the rows of a matrix are from being orthogonal; 0 for one row. @internal */
export const orthogonality =
  (mode: "soft" | "hard" | "spectral") =>
  (x: Vector, shape: ReadonlyArray<number>): Term => {
    const [width] = shape.slice(1)
    // logprobs of single targets are one vector, which has no other to be orthogonal to
    if (width === undefined) return { value: 0, gradient: new Float64Array(x.length) }
    const rows = unitRows(x, width)
    const n = rows.length
    const gram = rows.map((a) => rows.map((b) => dot(a.unit, b.unit)))
    const trace = sum(gram.map((row, i) => row[i]!))
    const onDiagonal = (i: number) => (mode === "hard" ? gram[i]![i]! - 1 : mode === "spectral" ? trace - n : 0)
    const slopes = gram.map((row, i) => row.map((value, j) => (i === j ? onDiagonal(i) : value)))
    const off = sum(gram.flatMap((row, i) => row.map((value, j) => (i === j ? 0 : value ** 2))))
    const diagonal =
      mode === "hard" ? sum(gram.map((_, i) => onDiagonal(i) ** 2)) : mode === "spectral" ? (trace - n) ** 2 : 0
    const gradient = new Float64Array(x.length)
    for (const [i, { length, unit }] of rows.entries()) {
      const byUnit = map(unit, (_, at) => 4 * sum(rows.map((other, j) => slopes[i]![j]! * other.unit[at]!)))
      // a row is divided by its norm, so that only what is across it moves it
      const along = dot(unit, byUnit)
      gradient.set(
        map(byUnit, (v, at) => (v - along * unit[at]!) / length),
        i * width
      )
    }
    return { value: off + diagonal, gradient }
  }

/** A function by its first and second derivatives. @internal */
export interface Differentiable {
  readonly gradient: (x: Vector) => Vector
  /** the second derivative at `x`, times a vector */
  readonly curvature: (x: Vector, direction: Vector) => Vector
}

/** `(‖∇f(x)‖ - target)²`, at `x` or between it and a reference. @internal */
export const gradientPenalty =
  (f: Differentiable, target: number) =>
  (x: Vector, between?: { readonly reference: Vector; readonly share: number }): Term => {
    const share = between?.share ?? 1
    const at = between === undefined ? x : map(x, (v, i) => share * v + (1 - share) * between.reference[i]!)
    const slope = f.gradient(at)
    const length = norm(slope)
    const factor = length === 0 ? 0 : (2 * (length - target) * share) / length
    return { value: (length - target) ** 2, gradient: map(f.curvature(at, slope), (v) => factor * v) }
  }
