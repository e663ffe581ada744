/**
 * A runner of episodes, for the test to kill. Arguments: the URL of the service, the directory of the trajectories, the
 * URL of a PostgreSQL database or a file of SQLite, the port, and how long an episode takes.
 */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as NodeRollouts from "../../src/NodeRollouts.ts"
import * as cluster from "./clusterRun.ts"

const [url, directory, database, port, millis] = process.argv.slice(2)

const where = { log: `${directory}/log`, millis: Number(millis) }

NodeRollouts.layerRunner({ groups: cluster.groups(where), directory: directory! }).pipe(
  Layer.provide(NodeRollouts.layerSockets({ host: "127.0.0.1", port: Number(port) }, cluster.sharding)),
  Layer.provide(cluster.layerDatabase(database!)),
  Layer.provide(ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: url! })),
  Layer.provide(FetchHttpClient.layer),
  Layer.provide(cluster.layerFiles(where)),
  Layer.provide(NodeContext.layer),
  Layer.launch,
  NodeRuntime.runMain
)
