/** The SDK over NodeHttpClient. */
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import { run } from "./program.ts"

await run(NodeHttpClient.layer)
