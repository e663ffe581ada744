/** Trains and samples over HTTP. */
import * as Effect from "effect/Effect"
import * as client from "./client.ts"

const data = client.datum([1, 2, 3])

/** The loss of a model. */
export const forward = (model_id: string) =>
  Effect.map(
    client.run("/forward", { forward_input: client.input(data), model_id }),
    (output) => output.metrics["loss:sum"] as number
  )

/** Trains a model. */
export const train = (model_id: string, steps = 1) =>
  Effect.gen(function* () {
    for (let i = 0; i < steps; i++) {
      yield* client.run("/forward_backward", { forward_backward_input: client.input(data), model_id })
      yield* client.run("/optim_step", { adam_params: { learning_rate: 0.1 }, model_id })
    }
  })

/** A sequence that is sampled at temperature 0. */
export const greedy = (sampling_session_id: string, seq_id: number) =>
  Effect.map(
    client.run(
      "/asample",
      client.sampleRequest(sampling_session_id, seq_id, { sampling_params: { max_tokens: 5, temperature: 0 } })
    ),
    ({ sequences }) => sequences[0]
  )
