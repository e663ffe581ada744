/** A model learns to copy three letters, from the reward alone. */
import * as Backend from "@effect-tinker/cookbook/Backend"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Env from "@effect-tinker/cookbook/Env"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"

const letter = Effect.map(Random.nextIntBetween(97, 123), (code) => String.fromCharCode(code))

const problem = (base: BaseModel.Service) =>
  Effect.map(Effect.all([letter, letter, letter]), (letters) =>
    Env.problem({
      prompt: base.encode(`${letters.join("")} ->`),
      stop: "\n",
      size: 16,
      decode: base.decode,
      grade: ({ text }) => (text === ` ${letters.join("")}` ? 1 : 0)
    })
  )

const program = Effect.gen(function* () {
  const base = yield* BaseModel.BaseModel
  const { rows } = yield* Rl.run({
    model: { base_model: base.name, rank: 16, seed: 0 },
    groups: { at: () => Effect.replicateEffect(problem(base), 16) },
    steps: 8,
    learningRate: LearningRate.constant(2e-3),
    rollouts: { sampling: { max_tokens: 16 } }
  })
  for (const row of rows) yield* Console.log(`step ${row.step}: reward ${row["env/all/reward/total"]}`)
})

const MainLive = Layer.merge(Backend.layerConfig({ checkpoints: "./checkpoints" }), Metrics.layerSilent).pipe(
  Layer.provideMerge(NodeContext.layer),
  Layer.provide(FetchHttpClient.layer)
)

program.pipe(Effect.scoped, Effect.provide(MainLive), NodeRuntime.runMain)
