/** Lists, searches, publishes, expires and deletes checkpoints. */
import * as Checkpoint from "@effect-tinker/api/Checkpoint"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as TrainingRun from "@effect-tinker/api/TrainingRun"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as TinkerClient from "../../TinkerClient.ts"
import * as codec from "../codec/endpoint.ts"
import * as deletion from "./deletion.ts"
import * as inputs from "./inputs.ts"
import { byKindOrName, isMissingRoute, listOperation, onCheckpoint, streamOperation } from "./operation.ts"
import type * as options from "./options.ts"
import * as pages from "./pages.ts"

/**
 * The checkpoints of an account.
 *
 * @since 0.1.0
 * @category models
 */
export interface Checkpoints {
  /** All checkpoints of one run. */
  readonly listCheckpoints: (training_run_id: string) => options.RestEffect<Checkpoint.CheckpointsListResponse>
  /** One page of the user's checkpoints of all runs, newest first; gathered from the runs where the service has no such list. */
  readonly listUserCheckpoints: (options?: options.Page) => options.RestEffect<Checkpoint.CheckpointsListResponse>
  /** All of the user's checkpoints, newest first, page by page. */
  readonly streamUserCheckpoints: (options?: options.Walk) => options.RestStream<Checkpoint.Checkpoint>
  /** One page of search results. */
  readonly searchCheckpoints: (
    request?: typeof Checkpoint.CheckpointSearchRequest.Encoded
  ) => options.RestEffect<Checkpoint.CheckpointSearchResponse>
  /** All results of a search from `cursor` on; `limit` is the page size. */
  readonly streamCheckpointSearch: (
    request?: typeof Checkpoint.CheckpointSearchRequest.Encoded
  ) => options.RestStream<Checkpoint.Checkpoint>
  /** A checkpoint as the listing of its run reports it. Fails with `NotFound` if it is not listed. */
  readonly getCheckpoint: (target: options.Target) => options.RestEffect<Checkpoint.Checkpoint>
  /** Makes a checkpoint readable by everyone. Fails with `Conflict` if it is public already. */
  readonly publishCheckpoint: (target: options.Target) => options.RestEffect<void>
  /** Makes a checkpoint private. Fails with `Conflict` if it is private already. */
  readonly unpublishCheckpoint: (target: options.Target) => options.RestEffect<void>
  /** Deletes a checkpoint after a number of seconds from now; `null` keeps it indefinitely. */
  readonly setCheckpointTtl: (target: options.Target, ttl_seconds: number | null) => options.RestEffect<void>
  readonly deleteCheckpoint: (target: options.Target) => options.RestEffect<void>
  /**
   * Deletes many checkpoints and emits the outcome for each one. A deletion that fails does not stop the others; a
   * listing that fails does fail the stream. With `dryRun` nothing is deleted.
   */
  readonly deleteCheckpoints: (
    selection: options.Selection,
    options?: deletion.Options
  ) => options.RestStream<options.Deletion>
}

const readCheckpointSearch = codec.input("searchCheckpoints", "request", Checkpoint.CheckpointSearchRequest)

const listCheckpoints =
  (client: TinkerClient.Service): Checkpoints["listCheckpoints"] =>
  (training_run_id) => {
    const method = "listCheckpoints"
    return listOperation(
      method,
      client.call(TinkerApi.listCheckpoints, inputs.noPayload, { method, path: { training_run_id } })
    )
  }

const concurrentRuns = 8

/** What the listing of all runs is made of. */
interface Listings {
  readonly runs: () => options.RestStream<TrainingRun.TrainingRun>
  readonly ofRun: (training_run_id: string) => options.RestEffect<Checkpoint.CheckpointsListResponse>
}

const millisOf = ({ time }: Checkpoint.Checkpoint): number => (time === undefined ? 0 : DateTime.toEpochMillis(time))

/** The checkpoints of a run; none if it has been deleted meanwhile. */
const checkpointsOf = (
  { ofRun }: Listings,
  training_run_id: string
): options.RestEffect<ReadonlyArray<Checkpoint.Checkpoint>> =>
  ofRun(training_run_id).pipe(
    Effect.map(({ checkpoints }) => checkpoints),
    Effect.catchTag("NotFound", () => Effect.succeed([]))
  )

/** All checkpoints of all runs, newest first. */
const listAll = (method: string, listings: Listings): options.RestEffect<ReadonlyArray<Checkpoint.Checkpoint>> =>
  listings.runs().pipe(
    Stream.catchAll((error) =>
      Stream.fail(
        isMissingRoute(error)
          ? new TinkerError.NotFound({
              method,
              status: 404,
              detail: "this service lists neither all checkpoints nor all runs: list the checkpoints of one run"
            })
          : error
      )
    ),
    Stream.mapEffect(({ training_run_id }) => checkpointsOf(listings, training_run_id), {
      concurrency: concurrentRuns
    }),
    Stream.flatMap((checkpoints) => Stream.fromIterable(checkpoints)),
    Stream.runCollect,
    Effect.map((all) => Array.from(all).sort((a, b) => millisOf(b) - millisOf(a)))
  )

/** One page, from the service or from the checkpoints of all runs. */
const pageOf = (
  client: TinkerClient.Service,
  method: string,
  options: options.Page,
  all: options.RestEffect<ReadonlyArray<Checkpoint.Checkpoint>>
): options.RestEffect<Checkpoint.CheckpointsListResponse> =>
  Effect.flatMap(inputs.pageParams(method, options), (urlParams) =>
    Effect.catchIf(
      client.call(TinkerApi.listUserCheckpoints, inputs.noPayload, { method, urlParams }),
      isMissingRoute,
      () =>
        Effect.map(all, (checkpoints) => {
          const { limit = 100, offset = 0 } = options
          return {
            checkpoints: checkpoints.slice(offset, offset + limit),
            cursor: { offset, limit, total_count: checkpoints.length }
          }
        })
    )
  )

const listUserCheckpoints =
  (client: TinkerClient.Service, listings: Listings): Checkpoints["listUserCheckpoints"] =>
  (options = {}) => {
    const method = "listUserCheckpoints"
    return listOperation(method, pageOf(client, method, options, listAll(method, listings)))
  }

const streamUserCheckpoints =
  (client: TinkerClient.Service, listings: Listings): Checkpoints["streamUserCheckpoints"] =>
  (options = {}) => {
    const method = "streamUserCheckpoints"
    return streamOperation(method, () =>
      Stream.unwrap(
        // listed once, and not once a page
        Effect.map(Effect.cached(listAll(method, listings)), (all) =>
          pages.byOffset(method, options, (page) =>
            Effect.map(listOperation("listUserCheckpoints", pageOf(client, method, page, all)), (response) => ({
              items: response.checkpoints,
              total: response.cursor?.total_count
            }))
          )
        )
      )
    )
  }

const searchCheckpoints =
  (client: TinkerClient.Service): Checkpoints["searchCheckpoints"] =>
  (request = {}) => {
    const method = "searchCheckpoints"
    return listOperation(
      method,
      Effect.flatMap(readCheckpointSearch(request), (payload) =>
        client.call(TinkerApi.searchCheckpoints, payload, { method })
      )
    )
  }

const streamCheckpointSearch =
  (search: Checkpoints["searchCheckpoints"]): Checkpoints["streamCheckpointSearch"] =>
  (request = {}) =>
    streamOperation("streamCheckpointSearch", () =>
      pages.byCursor(request.cursor ?? undefined, (cursor) =>
        Effect.map(search({ ...request, cursor }), ({ checkpoints, next_cursor }) => ({
          items: checkpoints,
          next: next_cursor
        }))
      )
    )

const getCheckpoint =
  (list: Checkpoints["listCheckpoints"]): Checkpoints["getCheckpoint"] =>
  (target) => {
    const method = "getCheckpoint"
    return onCheckpoint(method, target, (path) => {
      const tinker_path = TinkerPath.format(path)
      return Effect.flatMap(list(path.training_run_id), ({ checkpoints }) => {
        const checkpoint = checkpoints.find((listed) =>
          Option.exists(TinkerPath.parse(listed.tinker_path), (path) => TinkerPath.format(path) === tinker_path)
        )
        return checkpoint === undefined
          ? new TinkerError.NotFound({ method, status: 404, detail: `there is no checkpoint ${tinker_path}` })
          : Effect.succeed(checkpoint)
      })
    })
  }

const publishCheckpoint =
  (client: TinkerClient.Service): Checkpoints["publishCheckpoint"] =>
  (target) =>
    onCheckpoint("publishCheckpoint", target, (path) =>
      client.call(byKindOrName(path, TinkerApi.publishCheckpoint), inputs.noPayload, { path })
    )

const unpublishCheckpoint =
  (client: TinkerClient.Service): Checkpoints["unpublishCheckpoint"] =>
  (target) =>
    onCheckpoint("unpublishCheckpoint", target, (path) =>
      client.call(byKindOrName(path, TinkerApi.unpublishCheckpoint), inputs.noPayload, { path })
    )

const setCheckpointTtl =
  (client: TinkerClient.Service): Checkpoints["setCheckpointTtl"] =>
  (target, ttl_seconds) => {
    const method = "setCheckpointTtl"
    return onCheckpoint(method, target, (path) =>
      ttl_seconds !== null && !(Number.isSafeInteger(ttl_seconds) && ttl_seconds > 0)
        ? inputs.invalidInput(
            method,
            "ttl_seconds",
            `is ${ttl_seconds}: give a whole number above 0, or null to keep the checkpoint`
          )
        : client.call(byKindOrName(path, TinkerApi.setCheckpointTtl), { ttl_seconds }, { path })
    )
  }

const deleteCheckpoint =
  (client: TinkerClient.Service): Checkpoints["deleteCheckpoint"] =>
  (target) => {
    const method = "deleteCheckpoint"
    return onCheckpoint(method, target, (path) =>
      client.call(byKindOrName(path, TinkerApi.deleteCheckpoint), inputs.noPayload, { method, path })
    )
  }

/** @internal */
export const make = (client: TinkerClient.Service, runs: Listings["runs"]): Checkpoints => {
  const ofRun = listCheckpoints(client)
  const listings = { runs, ofRun }
  const streamUser = streamUserCheckpoints(client, listings)
  const search = searchCheckpoints(client)
  const deleteOne = deleteCheckpoint(client)
  return {
    listCheckpoints: ofRun,
    listUserCheckpoints: listUserCheckpoints(client, listings),
    streamUserCheckpoints: streamUser,
    searchCheckpoints: search,
    streamCheckpointSearch: streamCheckpointSearch(search),
    getCheckpoint: getCheckpoint(ofRun),
    publishCheckpoint: publishCheckpoint(client),
    unpublishCheckpoint: unpublishCheckpoint(client),
    setCheckpointTtl: setCheckpointTtl(client),
    deleteCheckpoint: deleteOne,
    deleteCheckpoints: (selection, options) =>
      streamOperation("deleteCheckpoints", () =>
        deletion.deleteSelection({ ofRun, streamUser, deleteOne }, selection, options)
      )
  }
}
