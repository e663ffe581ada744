/** The rows of requests and answers in the database of a cluster. */
import * as Message from "@effect/cluster/Message"
import * as MessageStorage from "@effect/cluster/MessageStorage"
import type * as ShardingConfig from "@effect/cluster/ShardingConfig"
import * as SqlMessageStorage from "@effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "@effect/cluster/SqlRunnerStorage"
import type * as Rpc from "@effect/rpc/Rpc"
import * as SqlClient from "@effect/sql/SqlClient"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { RolloutFailed } from "../rollouts/service.ts"
import { entityType } from "./protocol.ts"

/** Begins the names of the tables, so that other clusters may be in the same database. @internal */
export const prefix = "tinker_rollouts"

const pause = "500 millis"

/** @internal */
export interface Rows {
  /** Removes the requests and answers of all episodes whose names begin with a name and a slash. */
  readonly remove: (names: ReadonlyArray<string>) => Effect.Effect<void, RolloutFailed>
}

type Storage = MessageStorage.MessageStorage["Type"]

/**
 * Stores an answer for as long as it takes. The entity of an answer that is given up would neither answer nor be asked
 * again. An answer that was stored though its storing failed is not stored again.
 */
const saveReply =
  (storage: Storage): Storage["saveReply"] =>
  (reply) => {
    const isStored = Effect.map(storage.repliesForUnfiltered([reply.reply.requestId]), (replies) =>
      replies.some(({ _tag }) => _tag === "WithExit")
    )
    const again = Effect.flatMap(isStored, (done) => (done ? Effect.void : storage.saveReply(reply)))
    return Effect.catchTag(storage.saveReply(reply), "PersistenceError", (error) =>
      Effect.logWarning("an answer could not be stored; it is tried again", error).pipe(
        Effect.andThen(
          Effect.retry(Effect.delay(again, pause), {
            while: ({ _tag }) => _tag === "PersistenceError",
            schedule: Schedule.spaced(pause)
          })
        )
      )
    )
  }

const withPatientReplies = (storage: Storage): Storage => {
  const save = saveReply(storage)
  // what is read carries the function that answers it
  const patient = <R extends Rpc.Any>(messages: ReadonlyArray<Message.Incoming<R>>): Array<Message.Incoming<R>> =>
    messages.map((message) =>
      message._tag === "IncomingRequest"
        ? new Message.IncomingRequest<R>({
            envelope: message.envelope,
            lastSentReply: message.lastSentReply,
            respond: save
          })
        : message
    )
  return {
    ...storage,
    saveReply: save,
    unprocessedMessages: (shards) => Effect.map(storage.unprocessedMessages(shards), patient),
    unprocessedMessagesById: (ids) => Effect.map(storage.unprocessedMessagesById(ids), patient)
  }
}

/** The storage of messages in the database, in tables of its own. */
const layerMessages = Layer.effect(
  MessageStorage.MessageStorage,
  Effect.map(MessageStorage.MessageStorage, withPatientReplies)
).pipe(Layer.provide(SqlMessageStorage.layerWith({ prefix })))

/** The storage of the cluster whose processes are configured so, in tables of its own. @internal */
export const layer = (config: Layer.Layer<ShardingConfig.ShardingConfig, ConfigError>) =>
  Layer.merge(layerMessages, SqlRunnerStorage.layerWith({ prefix })).pipe(Layer.provide(config))

/** The names that begin with a name and a slash are those between `name/` and `name0`. */
const deletions = (sql: SqlClient.SqlClient, name: string) => {
  const messages = sql(`${prefix}_messages`)
  const replies = sql(`${prefix}_replies`)
  // by bytes: other orders may skip slashes
  const column = sql.onDialectOrElse({
    pg: () => sql.literal('entity_id COLLATE "C"'),
    orElse: () => sql.literal("entity_id")
  })
  const here = sql`entity_type = ${entityType} AND ${column} >= ${`${name}/`} AND ${column} < ${`${name}0`}`
  return Effect.andThen(
    sql`DELETE FROM ${replies} WHERE request_id IN (SELECT id FROM ${messages} WHERE ${here})`,
    sql`DELETE FROM ${messages} WHERE ${here}`
  )
}

/** An answer to a request that was removed before it came. */
const deleteOrphans = (sql: SqlClient.SqlClient) => {
  const messages = sql(`${prefix}_messages`)
  const replies = sql(`${prefix}_replies`)
  return sql`DELETE FROM ${replies} WHERE NOT EXISTS (SELECT 1 FROM ${messages} WHERE ${messages}.id = ${replies}.request_id)`
}

/** What looks rows up by the names of episodes. */
const createIndex = (sql: SqlClient.SqlClient) => {
  const index = sql(`${prefix}_messages_entity_idx`)
  const messages = sql(`${prefix}_messages`)
  return sql.onDialectOrElse({
    pg: () => sql`CREATE INDEX IF NOT EXISTS ${index} ON ${messages} (entity_type, (entity_id COLLATE "C"))`,
    orElse: () => sql`CREATE INDEX IF NOT EXISTS ${index} ON ${messages} (entity_type, entity_id)`
  })
}

/** @internal */
export const makeRows = Effect.gen(function* () {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  yield* Effect.mapError(createIndex(sql), (cause) => {
    const reason = "cannot be asked for: the database of the cluster has no tables that can be used"
    return new RolloutFailed({ rollout: "any", reason, cause })
  })
  const rows: Rows = {
    remove: (names) =>
      Effect.forEach(names, (name) => deletions(sql, name), { discard: true }).pipe(
        Effect.andThen(deleteOrphans(sql)),
        sql.withTransaction,
        Effect.mapError((cause) => {
          const rollout = names.slice(0, 3).join(", ")
          return new RolloutFailed({ rollout, reason: "cannot be removed from the database of the cluster", cause })
        })
      )
  }
  return rows
})
