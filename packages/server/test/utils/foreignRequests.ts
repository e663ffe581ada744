/** Requests that name something of another user, for each endpoint of the contract. */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Effect from "effect/Effect"
import * as client from "./client.ts"

/** The ids of what one user has. */
export interface Everything {
  readonly session_id: string
  readonly model_id: string
  readonly path: string
  readonly sampler: string
  readonly external: string
  readonly sampling_session_id: string
  readonly request_id: string
  readonly sample_id: string
  readonly upload_id: string
}

type Request = Effect.Effect<client.TestResponse, never, HttpClient.HttpClient>

/** The URLs of all checkpoints. */
const checkpointUrls = (all: Everything) =>
  ["weights/a", "sampler_weights/s", "external_weights/e"].map(
    (id) => `/training_runs/${all.model_id}/checkpoints/${id}`
  )

const paths = ({ external, path, sampler }: Everything) => [path, sampler, external]

const { del, get, post, put } = client

/** Endpoints that take no id of anything that a user has, or keep nothing of it. */
export const withoutIds: ReadonlyArray<string> = [
  "clientConfig",
  "healthz",
  "getServerCapabilities",
  "createSession",
  "clientDynamicConfig",
  "authToken",
  "getApiKey",
  "deleteApiKey",
  "sendTelemetry",
  "createCustomLoss",
  "externalWeightsUploadStart",
  // lists and searches are tested by what they show
  "listSessions",
  "searchSessions",
  "listTrainingRuns",
  "listUserCheckpoints",
  "searchCheckpoints",
  "getAuditLog",
  "getBillingUsage",
  "getCheckpointStorage"
]

/** By endpoint: requests of a user who has `own` that name something of `her`. */
export const foreignRequests: Readonly<Record<string, (her: Everything, own: Everything) => ReadonlyArray<Request>>> = {
  sessionHeartbeat: ({ session_id }) => [post("/session_heartbeat", { session_id })],
  createModel: ({ session_id }) => [
    post("/create_model", { session_id, model_seq_id: 0, base_model: "effect-tinker/test", lora_config: { rank: 8 } }),
    post("/create_model", { session_id, model_seq_id: 9, base_model: "effect-tinker/test", lora_config: { rank: 8 } })
  ],
  getInfo: ({ model_id }) => [post("/get_info", { model_id, type: "get_info" })],
  unloadModel: ({ model_id }) => [post("/unload_model", { model_id, type: "unload_model" })],
  forward: ({ model_id }) => [post("/forward", { forward_input: client.input(client.datum([1, 2])), model_id })],
  forwardBackward: ({ model_id }) => [
    client.forwardBackward(model_id),
    client.forwardBackward(model_id, 5),
    // one that cannot be decoded uses up its number, if the model is the user's
    post("/forward_backward", { forward_backward_input: { data: 1 }, model_id, seq_id: 6 })
  ],
  optimStep: ({ model_id }) => [client.optimStep(model_id), client.optimStep(model_id, 5)],
  saveWeights: ({ model_id }) => [
    post("/save_weights", { model_id, path: "mine" }),
    post("/save_weights", { model_id, path: "a", overwrite: true })
  ],
  saveWeightsForSampler: ({ model_id }) => [
    post("/save_weights_for_sampler", { model_id, path: "mine" }),
    post("/save_weights_for_sampler", { model_id, sampling_session_seq_id: 8 })
  ],
  saveWeightsExternal: ({ model_id }) => [post("/save_weights_external", { model_id, path: "mine" })],
  loadWeights: (her, own) => [
    post("/load_weights", { model_id: her.model_id, path: own.path, optimizer: true }),
    post("/load_weights", { model_id: own.model_id, path: her.path, optimizer: true }),
    post("/load_weights", { session_id: own.session_id, model_seq_id: 5, path: her.path, optimizer: false }),
    post("/load_weights", { session_id: her.session_id, model_seq_id: 5, path: own.path, optimizer: false })
  ],
  copyWeights: (her, own) => [
    ...paths(her).flatMap((source_path) => [
      post("/copy_weights", { source_path, destination_project_id: "p" }),
      post("/copy_weights", { source_path, session_id: own.session_id, model_seq_id: 6 })
    ]),
    post("/copy_weights", { source_path: own.path, session_id: her.session_id, model_seq_id: 6 }),
    post("/copy_weights", { source_path: own.path, session_id: her.session_id, model_seq_id: 0 })
  ],
  weightsInfo: (her) => paths(her).map((tinker_path) => post("/weights_info", { tinker_path })),
  externalWeightsUploadFinish: ({ upload_id }) => [post("/external_weights_upload_finish", { upload_id })],
  createSamplingSession: (her, own) => [
    post("/create_sampling_session", {
      session_id: own.session_id,
      sampling_session_seq_id: 7,
      model_path: her.sampler
    }),
    post("/create_sampling_session", {
      session_id: her.session_id,
      sampling_session_seq_id: 7,
      base_model: "effect-tinker/test"
    })
  ],
  joinSamplingSession: ({ sampling_session_id }) => [post("/join_sampling_session", { sampling_session_id })],
  asample: ({ sampler, sampling_session_id }) => [
    post("/asample", client.sampleRequest(sampling_session_id, 0)),
    post("/asample", client.sampleRequest(sampling_session_id, 5)),
    post("/asample", { ...client.sampleRequest("", 0), sampling_session_id: undefined, model_path: sampler })
  ],
  getSampler: ({ sampling_session_id }) => [get(`/samplers/${encodeURIComponent(sampling_session_id)}`)],
  retrieveFuture: ({ request_id, sample_id }) => [
    client.poll(request_id),
    client.poll(request_id, true),
    client.poll(sample_id)
  ],
  retrieveFutures: ({ sample_id, sampling_session_id }) => [
    post("/retrieve_futures", {
      target: { sampling_session_id, cloned_sampler_id: 0 },
      prev_cursor: 1,
      retrieved_request_ids: [sample_id],
      timeout: 0
    })
  ],
  cancelFuture: ({ request_id, sample_id }) => [
    post("/cancel_future", { request_id: sample_id }),
    post("/cancel_future", { request_id })
  ],
  getSession: ({ session_id }) => [get(`/sessions/${session_id}`)],
  finishSession: ({ session_id }) => [post(`/sessions/${session_id}/finish`, { reason: { type: "success" } })],
  assignSessionProject: ({ session_id }) => [put(`/sessions/${session_id}/project`, { project_id: "mine" })],
  exportSessionTrace: ({ session_id }) => [get(`/sessions/${session_id}/trace_export`)],
  getTrainingRun: ({ model_id }) => [
    get(`/training_runs/${model_id}`),
    get(`/training_runs/${model_id}?access_scope=accessible`)
  ],
  listCheckpoints: ({ model_id }) => [get(`/training_runs/${model_id}/checkpoints`)],
  deleteCheckpoint: (her) => checkpointUrls(her).map(del),
  publishCheckpoint: (her) => checkpointUrls(her).map((url) => post(`${url}/publish`, {})),
  unpublishCheckpoint: (her) => checkpointUrls(her).map((url) => del(`${url}/publish`)),
  setCheckpointTtl: (her) =>
    checkpointUrls(her).flatMap((url) => [
      put(`${url}/ttl`, { ttl_seconds: 60 }),
      put(`${url}/ttl`, { ttl_seconds: null })
    ]),
  getCheckpointArchive: (her) => checkpointUrls(her).map((url) => get(`${url}/archive`)),
  getExternalWeightsUrls: (her) =>
    checkpointUrls(her)
      .filter((url) => url.includes("external_weights"))
      .map((url) => get(`${url}/external_weights_urls`))
}

/** Lists and searches, also those that ask for what `her` has. `owner`: her name. */
export const listings = (her: Everything, owner: string): Readonly<Record<string, Request>> => {
  const searched = { owner: { type: "user", owner_urns: [owner] } }
  const accessible = { owner: { type: "accessible" } }
  return {
    sessions: get("/sessions"),
    "a search through sessions": post("/sessions/search", {}),
    "a search for a session": post("/sessions/search", { session_id: her.session_id }),
    "a search for sessions of a user": post("/sessions/search", searched),
    "a search for sessions of a project": post("/sessions/search", { project_ids: ["hers"] }),
    "training runs": get("/training_runs"),
    "accessible training runs": get("/training_runs?access_scope=accessible"),
    "training runs of a project": get("/training_runs?project_id=hers&access_scope=accessible"),
    checkpoints: get("/checkpoints"),
    "a search through checkpoints": post("/checkpoints/search", {}),
    "a search through accessible checkpoints": post("/checkpoints/search", accessible),
    "a search for checkpoints of a user": post("/checkpoints/search", searched),
    "a search for checkpoints of a project": post("/checkpoints/search", { ...accessible, project_ids: ["hers"] }),
    "the audit log": get("/audit"),
    usage: get("/billing/usage/events?starting_on=1970-01-01T00:00:00Z&ending_before=1970-01-02T00:00:00Z"),
    storage: get("/billing/usage/checkpoints/current")
  }
}

/** What a user can read of what is theirs. */
export const ownRequests = (own: Everything): ReadonlyArray<Request> => [
  get(`/sessions/${own.session_id}`),
  post("/sessions/search", {}),
  get(`/training_runs/${own.model_id}`),
  get(`/training_runs/${own.model_id}/checkpoints`),
  get(`/samplers/${own.sampling_session_id}`),
  get("/audit"),
  get("/billing/usage/checkpoints/current"),
  get("/billing/usage/events?starting_on=1970-01-01T00:00:00Z&ending_before=1970-01-02T00:00:00Z")
]
