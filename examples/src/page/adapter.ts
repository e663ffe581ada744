/** The adapters that the browser keeps: the newest one, its files, and the end of older ones. */
import * as RestClient from "@effect-tinker/client/RestClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"

/** The path of the newest weights, if there are any. */
export const newest = Effect.gen(function* () {
  const rest = yield* RestClient.RestClient
  const { checkpoints } = yield* rest.listUserCheckpoints()
  return checkpoints.find(({ checkpoint_type }) => checkpoint_type === "sampler")?.tinker_path
})

const runOf = (path: string) => path.split("/")[2]

/** Removes the checkpoints of all other runs, so that the page does not take more and more room. */
export const removeOthers = Effect.fnUntraced(function* (path: string) {
  const rest = yield* RestClient.RestClient
  const { checkpoints } = yield* rest.listUserCheckpoints({ limit: 100 })
  const others = checkpoints.filter(({ tinker_path }) => runOf(tinker_path) !== runOf(path))
  yield* Effect.forEach(others, ({ tinker_path }) => rest.deleteCheckpoint(tinker_path), { discard: true })
})

/** The archive of an adapter, which holds its safetensors file and PEFT's configuration. */
export const archive = Effect.fnUntraced(function* (path: string) {
  const rest = yield* RestClient.RestClient
  const http = yield* HttpClient.HttpClient
  const { url } = yield* rest.getCheckpointArchiveUrl(path)
  const response = yield* http.get(url)
  return yield* response.arrayBuffer
})
