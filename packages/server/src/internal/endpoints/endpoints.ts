/** The handlers of all endpoints, and the routes of signed URLs. */
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import type * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Layer from "effect/Layer"
import type * as TinkerService from "../../TinkerService.ts"
import type { ApiKeys } from "../auth/apiKeys.ts"
import type { Keys } from "../auth/signing.ts"
import * as downloads from "../transfers/downloads.ts"
import * as routes from "../transfers/routes.ts"
import * as uploads from "../transfers/uploads.ts"
import * as operator from "./operator.ts"
import { admin } from "./admin.ts"
import { checkpoints } from "./checkpoints.ts"
import { client } from "./client.ts"
import { futures } from "./futures.ts"
import { models } from "./models.ts"
import { sampling } from "./sampling.ts"
import { service } from "./service.ts"
import { sessions } from "./sessions.ts"
import { training } from "./training.ts"
import { trainingRuns } from "./trainingRuns.ts"
import { weights } from "./weights.ts"

/** Signed URLs are valid for every service with the same keys. @internal */
export const layer = (keys: Keys): Layer.Layer<HttpApi.Api, never, ApiKeys | TinkerService.TinkerService> =>
  Layer.mergeAll(HttpApiBuilder.api(TinkerApi), routes.layer, operator.layer).pipe(
    Layer.provide([service, client, models, training, weights, sampling, futures]),
    Layer.provide([sessions, trainingRuns, checkpoints, admin]),
    Layer.provide([downloads.layer(keys), uploads.layer(keys)])
  )
