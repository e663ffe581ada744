import * as Datum from "@effect-tinker/api/Datum"
import type * as CustomLoss from "@effect-tinker/client/CustomLoss"
import { assert, describe, it } from "@effect/vitest"
import * as Regularizers from "../src/Regularizers.ts"

const x = [-0.5, -1.2, -0.8, -2.1, -0.3, -1.5, -0.9, -1.8, -0.6, -1.1]
const reference = [0.22, 0.18, 0.12, 0.1, 0.08, 0.07, 0.06, 0.06, 0.06, 0.05].map(Math.log)
const logprobsOf = (values: ReadonlyArray<number>, shape = [values.length]): CustomLoss.Logprobs => ({
  // finite differences need more digits than float32 has
  data: Float64Array.from(values) as unknown as Float32Array,
  shape
})
const near = { reference: () => reference }
const original = () => reference

/** The sum of a cubic, whose second derivative is not constant. */
const f: Regularizers.Differentiable = {
  gradient: (x) => Array.from(x, (v) => 3 * v ** 2 + 1),
  curvature: (x, direction) => Array.from(x, (v, i) => 6 * v * direction[i]!)
}
const sumOf: Regularizers.Differentiable = {
  gradient: (x) => Array.from(x, () => 1),
  curvature: (x) => Array.from(x, () => 0)
}

// what tinkex computes for the same numbers
const values: ReadonlyArray<readonly [string, Regularizers.Regularizer, number]> = [
  ["l1", Regularizers.l1(), 10.8],
  ["l2 around the mean", Regularizers.l2({ center: "mean" }), 3.036],
  ["elastic net", Regularizers.elasticNet({ l1Ratio: 0.6 }), 12.36],
  ["entropy", Regularizers.entropy({ mode: "maximize" }), -3.1972],
  ["entropy at another temperature", Regularizers.entropy({ mode: "maximize", temperature: 0.5 }), -1.9354],
  ["forward divergence", Regularizers.klDivergence(near), 6.087],
  ["reverse divergence", Regularizers.klDivergence({ ...near, direction: "reverse" }), -1.1569],
  ["symmetric divergence", Regularizers.klDivergence({ ...near, direction: "symmetric" }), 2.465],
  ["gradient penalty", Regularizers.gradientPenalty({ f: sumOf }), 4.6754],
  ["orthogonality of a vector", Regularizers.orthogonality(), 0]
]

const all: ReadonlyArray<readonly [string, Regularizers.Regularizer]> = [
  ...values.map(([name, regularizer]) => [name, regularizer] as const),
  ["clipped l2", Regularizers.l2({ center: "mean", clip: 0.5 })],
  ["normalized entropy", Regularizers.entropy({ normalize: true, temperature: 2 })],
  ...(["mse", "l1", "cosine", "kl"] as const).map(
    (metric) => [`consistency ${metric}`, Regularizers.consistency({ original, metric })] as const
  ),
  ["gradient penalty of a cubic", Regularizers.gradientPenalty({ f, target: 2 })],
  ["gradient penalty between", Regularizers.gradientPenalty({ f, between: { ...near, share: 0.3 } })]
]

const checkGradient = (regularizer: Regularizers.Regularizer, shape: ReadonlyArray<number>, name: string) => {
  const at = (values: ReadonlyArray<number>) => regularizer(logprobsOf(values, [...shape]), 0)
  const { gradient } = at(x)
  for (const i of x.keys()) {
    const moved = (by: number) => at(x.map((v, j) => (i === j ? v + by : v))).value
    const numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6
    assert.closeTo(gradient[i]!, numeric, 1e-6 * Math.max(1, Math.abs(numeric)), `${name}[${i}]`)
  }
  return Math.sqrt(Array.from(gradient).reduce((sum, v) => sum + v ** 2, 0))
}

describe("Regularizers", () => {
  it("have the values of tinkex", () => {
    for (const [name, regularizer, expected] of values) {
      assert.closeTo(regularizer(logprobsOf(x), 0).value, expected, 6e-5, name)
    }
  })

  it("have true gradients, those of divergence and consistency among them", () => {
    for (const [name, regularizer] of all) {
      const length = checkGradient(regularizer, [x.length], name)
      const isFlat = name === "orthogonality of a vector" || name === "gradient penalty"
      assert.strictEqual(length > 1e-3, !isFlat, name)
    }
    for (const mode of ["soft", "hard", "spectral"] as const) {
      assert.isAbove(checkGradient(Regularizers.orthogonality({ mode }), [5, 2], mode), 1e-3)
    }
  })

  it("are added to a loss with their weights, as means over the datums", () => {
    const data = [Datum.fromPromptCompletion([1], [2, 3]), Datum.fromPromptCompletion([1], [2])]
    const logprobs = [logprobsOf([-1, -2]), logprobsOf([-4])]
    const base: CustomLoss.CustomLoss<Datum.Supervised> = () => ({
      loss: 1,
      gradients: [[1, 1], [1]],
      metrics: { base: 1 }
    })
    const terms = [{ name: "sparse", weight: 0.5, regularizer: Regularizers.l1() }]
    assert.deepStrictEqual(Regularizers.add(base, terms)(data, logprobs), {
      loss: 1 + 0.5 * 3.5,
      gradients: [Float32Array.of(0.75, 0.75), Float32Array.of(0.75)],
      metrics: { base: 1, sparse: 3.5, regularizers: 1.75 }
    })
    assert.throws(() => Regularizers.add(base, [...terms, ...terms]), "two terms have the name sparse")
    assert.throws(() => Regularizers.add(base, [{ ...terms[0]!, weight: -1 }]), "the weight of sparse is -1")
  })
})
