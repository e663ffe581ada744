/** What all processes share: a directory with a database. On several machines, it is a PostgreSQL database. */
import * as Backend from "@effect-tinker/cookbook/Backend"
import * as NodeRollouts from "@effect-tinker/cookbook/NodeRollouts"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Layer from "effect/Layer"

export const directory = process.env["ROLLOUTS"] ?? "./rollouts"

/** The cluster, and the service to sample from and to train on. */
export const layer = (address?: NodeRollouts.Address) =>
  Layer.mergeAll(
    NodeRollouts.layerSockets(address, { entityMessagePollInterval: "1 second" }),
    Backend.layerHosted.pipe(Layer.provide(FetchHttpClient.layer))
  ).pipe(Layer.provideMerge(NodeRollouts.layerSqlite(`${directory}/cluster.db`)), Layer.provideMerge(NodeContext.layer))
