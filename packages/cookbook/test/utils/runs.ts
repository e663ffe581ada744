/** What tests of supervised runs share: a service, data, and the files of a run. */
import * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Batches from "../../src/Batches.ts"
import * as LearningRate from "../../src/LearningRate.ts"
import * as Metrics from "../../src/Metrics.ts"
import type * as Supervised from "../../src/Supervised.ts"

const example = (i: number) => Datum.fromPromptCompletion([10 + i, 11 + i], [12 + i, 13 + i])
const examples = Array.from({ length: 8 }, (_, i) => example(i))

// the test engine learns only tokens that it has seen
export const heldOut = [example(2)]

export const client = ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: "http://any.test" })

/** A service, and rows that go nowhere. */
export const layer = Layer.mergeAll(client, Metrics.layerSilent, NodeContext.layer).pipe(
  Layer.provide(TestServer.layer())
)

/** A run of six steps. The learning rate is so high that each step changes the loss of the next. */
export const options: Supervised.Options = {
  model: { base_model: TestEngine.baseModel, rank: 4, seed: 1 },
  batches: Batches.make(examples, { size: 4, seed: 1 }),
  steps: 6,
  learningRate: LearningRate.linear(0.2)
}

export const lossesOf = ({ rows }: Pick<Supervised.Result, "rows">) =>
  rows.flatMap(({ train_mean_nll }) => (train_mean_nll === undefined ? [] : [train_mean_nll]))

/** The parsed lines of a file. */
export const jsonLines = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = yield* fs.readFileString(file)
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line))
  })
