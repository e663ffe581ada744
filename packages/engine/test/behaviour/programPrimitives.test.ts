import { makeJaxpr, numpy } from "@jax-js/jax"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as architecture from "../../src/internal/model/architecture.ts"
import { attentionPair, attentionPairGradient } from "../../src/internal/programs/attentionPair.ts"
import { extend } from "../../src/internal/programs/extend.ts"
import { forwardBackward } from "../../src/internal/programs/forwardBackward.ts"
import { headGradient, headLogits, headScores } from "../../src/internal/programs/headBlock.ts"
import { layerBlock, layerBlockGradient } from "../../src/internal/programs/layerBlock.ts"
import type { Program } from "../../src/internal/executors/executor.ts"
import * as fixtures from "../utils/fixtures.ts"

type Jaxpr = ReturnType<ReturnType<typeof makeJaxpr>>["jaxpr"]["jaxpr"]

/** The primitives and the constants of a traced program. */
const traceOf = (
  program: Program
): { readonly names: ReadonlySet<string>; readonly constants: ReadonlyArray<number> } => {
  const names = Object.keys(program.inputs)
  const trace = (...arrays: Array<numpy.Array>) => [
    ...program.trace(Object.fromEntries(names.map((name, i) => [name, arrays[i]!])))
  ]
  const inputs = Object.values(program.inputs).map(({ dtype, shape }) =>
    numpy.zeros([...shape], { dtype: numpy[dtype] })
  )
  const { jaxpr: closed } = makeJaxpr(trace)(...inputs)
  const found = new Set<string>()
  const visit = (jaxpr: Jaxpr) => {
    for (const { params, primitive } of jaxpr.eqns) {
      if ((primitive as string) === "jit") visit(params["jaxpr"] as Jaxpr)
      else found.add(primitive)
    }
  }
  visit(closed.jaxpr)
  const constants = closed.consts.flatMap((constant) =>
    Array.from((constant as numpy.Array).dataSync() as Float32Array)
  )
  return { names: found, constants }
}

// what every executor supports
const supported = new Set(
  (
    "add mul neg exp log sqrt reciprocal min max compare where " +
    "reduce dot transpose reshape broadcast flip stop_gradient"
  ).split(" ")
)

describe("The programs of the model", () => {
  it.scoped("use only primitives that can be lowered to ONNX, and only constants of zeros", () =>
    Effect.gen(function* () {
      const { config: model } = yield* fixtures.loadQwen()
      const linears = architecture.linears(model)
      const programs = [
        forwardBackward(model, linears, 2, { rows: 2, length: 16, targets: 1 }, true),
        forwardBackward(model, linears, 2, { rows: 2, length: 16, targets: 3 }, true),
        forwardBackward(model, linears, 2, { rows: 2, length: 16, targets: 1 }, false),
        extend(model, { rows: 1, length: 16, capacity: 1 }),
        extend(model, { rows: 1, length: 16, capacity: 64 }),
        extend(model, { rows: 4, length: 1, capacity: 64, adapter: { rank: 2, parts: ["attn", "mlp", "unembed"] } }),
        ...(["before", "after"] as const).flatMap((part) => [
          layerBlock(model, part, 16, { rank: 2, parts: ["attn", "mlp"] }),
          layerBlockGradient(model, part, 16, { rank: 2, parts: ["attn", "mlp"] })
        ]),
        attentionPair(model, 16),
        attentionPairGradient(model, 16),
        headLogits(model, 16, 2),
        headScores(model, { block: 16, targets: 1, rank: 2 }),
        headGradient(model, { block: 16, targets: 1, rank: 2 })
      ]
      for (const program of programs) {
        const { constants, names } = traceOf(program)
        assert.deepStrictEqual([...names].filter((name) => !supported.has(name)).sort(), [], program.key)
        // jax-js makes these for the tangents of what is not differentiated
        assert.isTrue(
          constants.every((value) => value === 0),
          program.key
        )
      }
      assert.strictEqual(new Set(programs.map(({ key }) => key)).size, programs.length)
    })
  )
})
