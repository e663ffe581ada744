/** Every public operation of the clients, with an input that it rejects: one that is added and not listed here is an error. */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as CustomLoss from "@effect-tinker/client/CustomLoss"
import type * as QueueState from "@effect-tinker/client/QueueState"
import type * as RestClient from "@effect-tinker/client/RestClient"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import type * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Tokenizers from "@effect-tinker/tokenizers/Tokenizers"
import { DateTime, Effect, Fiber, Redacted, type Scope, Stream } from "effect"

type Run = Effect.Effect<unknown, unknown, Scope.Scope>

/** What is no operation: names, states, and the wait for the end of the session. */
type NoOperation = string | boolean | QueueState.Observable | ServiceClient.Service["sessionLost"]

type Operations<S> = {
  [K in keyof S]: S[K] extends NoOperation ? never : K
}[keyof S]

interface Case {
  /** a call that the service rejects */
  readonly rejected: Run
  /** a call whose input is invalid; none if there is no such input */
  readonly invalid: Run | "none"
}

type Cases<S> = { readonly [K in Operations<S>]: Case }

const prompt = ModelInput.fromTokens([1, 2])
const datum = Datum.fromPromptCompletion([1, 2], [3])
const statePath = "tinker://run/weights/a"
const samplerPath = "tinker://run/sampler_weights/a"
const noPath = "nowhere"

const joined = <A, E, E2>(submitted: Effect.Effect<Fiber.Fiber<A, E>, E2>) => Effect.flatMap(submitted, Fiber.join)
const drained = <A, E>(stream: Stream.Stream<A, E>) => Stream.runDrain(stream)
const withTokenizers = <A, E>(effect: Effect.Effect<A, E, Tokenizers.Tokenizers>) =>
  Effect.provideService(effect, Tokenizers.Tokenizers, { forModel: () => Effect.die("the service rejects it before") })
const loss = (_: unknown, logprobs: ReadonlyArray<CustomLoss.Logprobs>) => ({
  loss: 0,
  gradients: logprobs.map(({ data }) => data)
})

export const ofService = (service: ServiceClient.Service): Cases<ServiceClient.Service> => ({
  getServerCapabilities: { rejected: service.getServerCapabilities, invalid: "none" },
  createLoraTrainingClient: {
    rejected: service.createLoraTrainingClient({ base_model: "base" }),
    invalid: service.createLoraTrainingClient({ base_model: "base", rank: -1 })
  },
  createTrainingClientFromState: {
    rejected: service.createTrainingClientFromState(statePath),
    invalid: service.createTrainingClientFromState(noPath)
  },
  createTrainingClientFromStateWithOptimizer: {
    rejected: service.createTrainingClientFromStateWithOptimizer(statePath),
    invalid: service.createTrainingClientFromStateWithOptimizer(noPath)
  },
  createSamplingClient: {
    rejected: service.createSamplingClient({ base_model: "base" }),
    invalid: service.createSamplingClient({ base_model: " " })
  }
})

export const ofTraining = (training: TrainingClient.TrainingClient): Cases<TrainingClient.TrainingClient> => ({
  forward: {
    rejected: joined(training.forward([datum], "cross_entropy")),
    invalid: training.forward([], "cross_entropy")
  },
  forwardBackward: {
    rejected: joined(training.forwardBackward([datum], "cross_entropy")),
    invalid: training.forwardBackward([], "cross_entropy")
  },
  forwardBackwardCustom: {
    rejected: joined(training.forwardBackwardCustom([datum], loss)),
    invalid: training.forwardBackwardCustom([], loss)
  },
  optimStep: {
    rejected: joined(training.optimStep()),
    invalid: training.optimStep({ learning_rate: Number.NaN })
  },
  optimizerStep: {
    rejected: joined(training.optimizerStep({ type: "dimuon", learning_rate: 1 })),
    invalid: training.optimizerStep({ type: "dimuon", learning_rate: -1 })
  },
  saveState: { rejected: joined(training.saveState("a")), invalid: training.saveState("a/b") },
  loadState: { rejected: joined(training.loadState(statePath)), invalid: training.loadState(noPath) },
  loadStateWithOptimizer: {
    rejected: joined(training.loadStateWithOptimizer(statePath)),
    invalid: training.loadStateWithOptimizer(noPath)
  },
  saveWeightsForSampler: {
    rejected: joined(training.saveWeightsForSampler("a")),
    invalid: training.saveWeightsForSampler("a/b")
  },
  saveWeightsExternal: {
    rejected: joined(training.saveWeightsExternal("a")),
    invalid: training.saveWeightsExternal("a/b")
  },
  saveWeightsAndGetSamplingClient: {
    rejected: training.saveWeightsAndGetSamplingClient(),
    invalid: training.saveWeightsAndGetSamplingClient({ maxConcurrent: 0 })
  },
  createSamplingClient: {
    rejected: training.createSamplingClient(samplerPath),
    invalid: training.createSamplingClient(noPath)
  },
  getInfo: { rejected: training.getInfo, invalid: "none" },
  getTokenizer: { rejected: withTokenizers(training.getTokenizer), invalid: "none" }
})

export const ofSampling = (sampling: SamplingClient.SamplingClient): Cases<SamplingClient.SamplingClient> => ({
  sample: {
    rejected: sampling.sample(prompt, { sampling_params: { max_tokens: 1 } }),
    invalid: sampling.sample(prompt, { num_samples: 0 })
  },
  stream: {
    rejected: drained(sampling.stream(prompt, { sampling_params: { max_tokens: 1 } })),
    invalid: drained(sampling.stream(prompt, { tokensPerRequest: 0 }))
  },
  computeLogprobs: {
    rejected: sampling.computeLogprobs(prompt),
    invalid: sampling.computeLogprobs(ModelInput.fromTokens([]))
  },
  getBaseModel: { rejected: sampling.getBaseModel, invalid: "none" },
  getTokenizer: { rejected: withTokenizers(sampling.getTokenizer), invalid: "none" }
})

const time = DateTime.unsafeMake(0)

export const ofRest = (rest: RestClient.Service): Cases<RestClient.Service> => ({
  getTrainingRun: { rejected: rest.getTrainingRun("run"), invalid: rest.getTrainingRun("tinker://") },
  listTrainingRuns: { rejected: rest.listTrainingRuns(), invalid: rest.listTrainingRuns({ limit: 0 }) },
  streamTrainingRuns: {
    rejected: drained(rest.streamTrainingRuns()),
    invalid: drained(rest.streamTrainingRuns({ pageSize: 0 }))
  },
  listCheckpoints: { rejected: rest.listCheckpoints("run"), invalid: "none" },
  listUserCheckpoints: { rejected: rest.listUserCheckpoints(), invalid: rest.listUserCheckpoints({ offset: -1 }) },
  streamUserCheckpoints: {
    rejected: drained(rest.streamUserCheckpoints()),
    invalid: drained(rest.streamUserCheckpoints({ pageSize: 0 }))
  },
  searchCheckpoints: {
    rejected: rest.searchCheckpoints(),
    invalid: rest.searchCheckpoints({ limit: -1 })
  },
  streamCheckpointSearch: {
    rejected: drained(rest.streamCheckpointSearch()),
    invalid: drained(rest.streamCheckpointSearch({ limit: -1 }))
  },
  getCheckpoint: { rejected: rest.getCheckpoint(statePath), invalid: rest.getCheckpoint(noPath) },
  publishCheckpoint: { rejected: rest.publishCheckpoint(statePath), invalid: rest.publishCheckpoint(noPath) },
  unpublishCheckpoint: { rejected: rest.unpublishCheckpoint(statePath), invalid: rest.unpublishCheckpoint(noPath) },
  setCheckpointTtl: { rejected: rest.setCheckpointTtl(statePath, 1), invalid: rest.setCheckpointTtl(statePath, 0) },
  deleteCheckpoint: { rejected: rest.deleteCheckpoint(statePath), invalid: rest.deleteCheckpoint(noPath) },
  deleteCheckpoints: {
    rejected: drained(rest.deleteCheckpoints({ training_run_id: "run" })),
    invalid: drained(rest.deleteCheckpoints({}))
  },
  getCheckpointArchiveUrl: {
    rejected: rest.getCheckpointArchiveUrl(statePath),
    invalid: rest.getCheckpointArchiveUrl(noPath)
  },
  getExternalWeightsUrls: {
    rejected: rest.getExternalWeightsUrls("tinker://run/external_weights/a"),
    invalid: rest.getExternalWeightsUrls(statePath)
  },
  getWeightsInfo: { rejected: rest.getWeightsInfo(statePath), invalid: rest.getWeightsInfo(noPath) },
  copyWeights: {
    rejected: rest.copyWeights(statePath, { destination_project_id: "project" }),
    invalid: rest.copyWeights(statePath, { weightsAccessToken: Redacted.make("\n") })
  },
  uploadExternalWeights: {
    rejected: rest.uploadExternalWeights({ base_model: "base", files: {} } as never),
    invalid: "none"
  },
  getSession: { rejected: rest.getSession("session"), invalid: "none" },
  listSessions: { rejected: rest.listSessions(), invalid: rest.listSessions({ limit: 0 }) },
  streamSessions: {
    rejected: drained(rest.streamSessions()),
    invalid: drained(rest.streamSessions({ concurrency: 0 }))
  },
  searchSessions: { rejected: rest.searchSessions(), invalid: rest.searchSessions({ limit: -1 }) },
  streamSessionSearch: {
    rejected: drained(rest.streamSessionSearch()),
    invalid: drained(rest.streamSessionSearch({ limit: -1 }))
  },
  finishSession: { rejected: rest.finishSession("session", "success"), invalid: "none" },
  assignSessionProject: {
    rejected: rest.assignSessionProject("session", "project"),
    invalid: rest.assignSessionProject("session", " ")
  },
  exportSessionTrace: { rejected: rest.exportSessionTrace("session"), invalid: "none" },
  getSampler: { rejected: rest.getSampler("sampler"), invalid: "none" },
  getServerCapabilities: { rejected: rest.getServerCapabilities, invalid: "none" },
  getAuditLog: { rejected: rest.getAuditLog(), invalid: "none" },
  getBillingUsage: {
    rejected: rest.getBillingUsage({ starting_on: time, ending_before: DateTime.add(time, { hours: 1 }) } as never),
    invalid: rest.getBillingUsage({ starting_on: time, ending_before: time } as never)
  },
  streamBillingUsage: {
    rejected: drained(
      rest.streamBillingUsage({ starting_on: time, ending_before: DateTime.add(time, { hours: 1 }) } as never)
    ),
    invalid: drained(rest.streamBillingUsage({ starting_on: time, ending_before: time } as never))
  },
  getCheckpointStorage: { rejected: rest.getCheckpointStorage(), invalid: "none" },
  // of a plain key, which has no identity
  whoami: { rejected: rest.whoami, invalid: rest.whoami },
  getApiKey: { rejected: rest.getApiKey, invalid: "none" },
  deleteApiKey: { rejected: rest.deleteApiKey, invalid: "none" }
})
