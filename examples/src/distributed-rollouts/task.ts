/** The groups, as the trainer and the runners make them: copy three letters. A real environment would take long. */
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Env from "@effect-tinker/cookbook/Env"
import type * as Rl from "@effect-tinker/cookbook/Rl"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

const letter = Effect.map(Random.nextIntBetween(97, 123), (code) => String.fromCharCode(code))

const problem = (base: BaseModel.Service, step: number) =>
  Effect.map(Effect.all([letter, letter, letter]), (letters) =>
    Env.problem({
      prompt: base.encode(`${letters.join("")} ->`),
      stop: "\n",
      size: 8,
      decode: base.decode,
      grade: ({ text }) =>
        Effect.as(
          Console.log(`step ${step}, process ${process.pid}: ${letters.join("")} ->${JSON.stringify(text)}`),
          text === ` ${letters.join("")}` ? 1 : 0
        )
    })
  )

/** The same groups in every process: their random numbers depend on the seed of the run and the step. */
export const groups = Effect.map(BaseModel.BaseModel, (base): Rl.Source<Env.GraderTimeout> => ({
  fingerprint: "copy three letters",
  at: (step) => Effect.replicateEffect(problem(base, step), 4)
}))
