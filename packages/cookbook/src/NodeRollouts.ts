/**
 * Rollouts on several machines: `Rl.run` asks runners, which are processes of the same program, to play the episodes. It
 * needs `@effect/cluster` 0.60, `@effect/rpc` and `@effect/sql`, so the package's index leaves it out: import it as
 * `@effect-tinker/cookbook/NodeRollouts`.
 *
 * ```ts
 * const storage = NodeRollouts.layerSqlite("./rollouts/cluster.db")
 *
 * // in the trainer
 * const RolloutsLive = NodeRollouts.layerCluster({ directory: "./rollouts" }).pipe(
 *   Layer.provide(NodeRollouts.layerSockets()),
 *   Layer.provide(storage)
 * )
 * const trained = Rl.run(options).pipe(Effect.provide(RolloutsLive))
 *
 * // in each runner
 * const RunnerLive = NodeRollouts.layerRunner({ groups: options.groups, directory: "./rollouts" }).pipe(
 *   Layer.provide(NodeRollouts.layerSockets({ host: "127.0.0.1", port: 34_001 })),
 *   Layer.provide(storage)
 * )
 * ```
 *
 * - **One episode, one answer.** An episode is asked for under its run, the part of the run, the step, the weights, the
 *   group, the member, and how often it failed. Requests and answers are rows of a database: SQLite (`layerSqlite`) for
 *   processes of one machine, or PostgreSQL (`PgClient.layer` of `@effect/sql-pg` 0.53). When a runner ends, others play
 *   what it had begun. What was answered is not played again, and a run that resumes gets no answer of the part before.
 * - **Trajectories are files** in a directory that all processes share; an answer holds the path and the SHA-256. Rows and
 *   files go once the groups are trained, and a checkpoint has it, or the run ends.
 * - **Groups.** A runner makes the groups of a step by the same `Source` as the trainer. If `fingerprint` or a size differs,
 *   the rollout fails. Rewards over a group (`EnvGroup.rewards`) are computed in the trainer.
 * - **Weights.** Each step's are saved for sampling under a name, for a day; runners sample from them by their own clients.
 *   The members of a group are sampled one by one, so that the samples differ from those of `Rollouts.layerLocal`.
 *
 * @since 0.1.0
 */
import type * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as MessageStorage from "@effect/cluster/MessageStorage"
import * as RunnerAddress from "@effect/cluster/RunnerAddress"
import type * as Sharding from "@effect/cluster/Sharding"
import type * as RunnerStorage from "@effect/cluster/RunnerStorage"
import * as ShardingConfig from "@effect/cluster/ShardingConfig"
import type { BadArgument } from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import type { SocketServerError } from "@effect/platform/SocketServer"
import * as NodeClusterSocket from "@effect/platform-node/NodeClusterSocket"
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as runner from "./internal/cluster/runner.ts"
import * as sqlite from "./internal/cluster/sqlite.ts"
import * as storage from "./internal/cluster/storage.ts"
import * as trainer from "./internal/cluster/trainer.ts"
import type { DurationInput } from "./internal/effect/duration.ts"
import { type RolloutFailed, Rollouts } from "./internal/rollouts/service.ts"
import type * as Rl from "./Rl.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface ClusterOptions {
  /** where trajectories are, as seen from this process; trainer and runners share it */
  readonly directory: string
  /** how long to ask a storage that fails before the rollout fails; 10 minutes by default */
  readonly patience?: DurationInput | undefined
}

/**
 * `Rl.run` asks runners for the episodes. Fails with `RolloutFailed` if the database cannot be used.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerCluster = (
  options: ClusterOptions
): Layer.Layer<Rollouts, RolloutFailed, Sharding.Sharding | SqlClient.SqlClient | FileSystem.FileSystem | Path.Path> =>
  Layer.scoped(Rollouts, trainer.make(options))

/**
 * @since 0.1.0
 * @category models
 */
export interface RunnerOptions<E = never, R = never> {
  /** the groups of the run, as the trainer makes them */
  readonly groups: Rl.Source<E, R>
  /** where trajectories are, as seen from this process; trainer and runners share it */
  readonly directory: string
  /** how many episodes are played at once; 64 by default */
  readonly concurrency?: number | undefined
}

/**
 * Plays episodes for trainers until it ends. Episodes that it has begun are then played by others.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRunner = <E, R>(
  options: RunnerOptions<E, R>
): Layer.Layer<
  never,
  never,
  Exclude<R, Scope.Scope> | Sharding.Sharding | ServiceClient.ServiceClient | FileSystem.FileSystem | Path.Path
> => runner.layer(options)

/**
 * Where a runner listens.
 *
 * @since 0.1.0
 * @category models
 */
export interface Address {
  /** the name of this machine for the others */
  readonly host: string
  readonly port: number
}

/**
 * The cluster over sockets: of a runner, which listens at an address, or of a trainer, which has none. `sharding` changes
 * how often processes look after each other. Fails if the database cannot be used, or the address is taken.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerSockets = (
  address?: Address,
  sharding: Partial<Omit<ShardingConfig.ShardingConfig["Type"], "runnerAddress">> = {}
): Layer.Layer<
  Sharding.Sharding | MessageStorage.MessageStorage,
  SocketServerError | ConfigError | SqlError,
  SqlClient.SqlClient
> => {
  const shardingConfig = {
    ...sharding,
    runnerAddress: Option.map(Option.fromNullable(address), ({ host, port }) => RunnerAddress.make(host, port))
  }
  const sockets: Layer.Layer<
    Sharding.Sharding,
    SocketServerError | ConfigError,
    MessageStorage.MessageStorage | RunnerStorage.RunnerStorage
  > = NodeClusterSocket.layer({ storage: "byo", clientOnly: address === undefined, shardingConfig })
  return sockets.pipe(Layer.provideMerge(storage.layer(ShardingConfig.layerFromEnv(shardingConfig))))
}

/**
 * A SQLite database in a file, which the processes of one machine share. Its directory must exist.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerSqlite = (file: string): Layer.Layer<SqlClient.SqlClient, BadArgument, Path.Path> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const path = yield* Path.Path
      return sqlite.layer(yield* path.toFileUrl(path.resolve(file)))
    })
  )
